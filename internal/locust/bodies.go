package locust

import "sync"

// bodies keeps the bodies that scripts have not looked at yet, by the number of
// their request. It is safe for concurrent use.
type bodies struct {
	mu    sync.Mutex
	byID  map[uint32]*body
	first *body // oldest
	last  *body
	size  int64
}

// maxBodies bounds what is kept: beyond it the oldest go.
const maxBodies = 1 << 30

type body struct {
	id, user   uint32
	text       []byte
	read       int // bytes that a stream has given
	prev, next *body
	gone       bool
}

func newBodies() *bodies { return &bodies{byID: map[uint32]*body{}} }

// put keeps a body, whose memory belongs to a lane until kept says otherwise.
func (s *bodies) put(id, user uint32, text []byte) *body {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byID[id]; old != nil {
		s.remove(old)
	}
	k := &body{id: id, user: user, text: text, prev: s.last}
	if s.last != nil {
		s.last.next = k
	} else {
		s.first = k
	}
	s.last = k
	s.byID[id] = k
	s.size += int64(len(text))
	for s.size > maxBodies && s.first != k {
		s.remove(s.first)
	}
	return k
}

// remove forgets a body. The caller holds mu.
func (s *bodies) remove(k *body) {
	if k.gone {
		return
	}
	k.gone = true
	s.size -= int64(len(k.text))
	delete(s.byID, k.id)
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		s.first = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	} else {
		s.last = k.prev
	}
	k.prev, k.next, k.text = nil, nil, nil
}

// kept reports whether a body is still there.
func (s *bodies) kept(k *body) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !k.gone
}

// drop forgets a body.
func (s *bodies) drop(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.byID[id]; k != nil {
		s.remove(k)
	}
}

// dropUser forgets all bodies of a user.
func (s *bodies) dropUser(user uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := s.first; k != nil; {
		next := k.next
		if k.user == user {
			s.remove(k)
		}
		k = next
	}
}

// appendPart appends the next n bytes of a body to b, all that are left with n 0,
// after a byte that says what follows: 0 more, 1 nothing, 2 nothing but an error.
//
// Subtle: it copies while nobody can forget the body, whose memory may be used
// again right after.
func (s *bodies) appendPart(b []byte, id uint32, n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.byID[id]
	if k == nil {
		return append(append(b, 2), "the body is no longer kept"...)
	}
	rest := k.text[k.read:]
	state := byte(0)
	if n <= 0 || n >= len(rest) {
		n, state = len(rest), 1
	}
	k.read += n
	return append(append(b, state), rest[:n]...)
}
