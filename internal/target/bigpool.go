package target

import "sync"

// bigPool lends buffers of bigBuffer bytes. The zero value is ready; safe for concurrent use.
type bigPool struct{ pool sync.Pool }

func (p *bigPool) get() []byte {
	if b, ok := p.pool.Get().(*[bigBuffer]byte); ok {
		return b[:]
	}
	return make([]byte, bigBuffer)
}

func (p *bigPool) put(b []byte) { p.pool.Put((*[bigBuffer]byte)(b)) }
