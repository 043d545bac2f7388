-- Decides on the asks of one request, as limit.All or limit.Chain does.
--
-- KEYS[i] is where ask i counts. ARGV holds H words for the request and then F
-- for each ask. All times are whole microseconds since the Unix epoch, all
-- numbers whole and below 2^53, so that a double holds them exactly. math.fmod
-- is exact; the % of Lua 5.1 and x/y are not.
--
-- The server runs all of this text for each decision. So the program sends only
-- the kinds that the request needs: what stands between the lines "--> kind"
-- that name one of them, and the lines without a name.
local H, F = 5, 13
local chain, lazy = ARGV[1] == '1', ARGV[3] == '1'
local origin, ttl = tonumber(ARGV[4]), ARGV[5]
local fmod, CAP = math.fmod, 4503599627370496 -- 2^52

local t -- the present
if ARGV[2] == '' then
  local s = redis.call('TIME')
  t = tonumber(s[1]) * 1000000 + tonumber(s[2])
else
  t = tonumber(ARGV[2])
end

local formats = { '%.0f', '%.0f %.0f', '%.0f %.0f %.0f', '%.0f %.0f %.0f %.0f', '%.0f %.0f %.0f %.0f %.0f' }
local function text(...) return string.format(formats[select('#', ...)], ...) end

local function numbers(s)
  if not s then return {} end
  local a, b, c, d, e = string.match(s, '^(%S+) ?(%S*) ?(%S*) ?(%S*) ?(%S*)')
  return { tonumber(a), tonumber(b), tonumber(c), tonumber(d), tonumber(e) }
end

-- The start of the window that holds now.
local function head(q, now) return now - fmod(now + q.a, q.width) end

-- A kind of limiter: load brings its state s to the present, fits says whether
-- q.cost may pass, add spends it (of a refused request, what there is), shows
-- returns up to three numbers, reset how long the state matters, save writes.
local kinds = {}

-- What is written at the end of a state: until when a ban lasts.
local function ban(s)
  if s.banned then return ' ' .. text(s.banned) end
  return ''
end

-- Plain kinds keep their state as one string.
local function plain(k)
  k.read = function(key) return numbers(redis.call('GET', key)) end
  k.save = function(s, key, ms)
    redis.call('SET', key, text(s.now, k.words(s)) .. ban(s), 'PX', text(ms))
  end
  return k
end

--> level
-- Token bucket and leaky bucket: what is held, as the time it takes to drain:
-- us microseconds and part/limit of another.
kinds.level = plain {
  load = function(q, s, v)
    local us, part, den, width = v[2] or 0, v[3] or 0, v[4] or q.limit, v[5] or q.width
    if den ~= q.limit or width ~= q.width then
      -- Of another rate: as many units as it was, rounded up.
      us, part = math.ceil((us + part / den) * den / width * q.width / q.limit), 0
    end
    local elapsed = s.now - (v[1] or s.now)
    us = us - elapsed
    if us < 0 then us, part = 0, 0 end
    if us > q.c or us == q.c and part > q.d then us, part = q.c, q.d end
    s.us, s.part, s.limit, s.width = us, part, q.limit, q.width
  end,
  sum = function(q, s)
    local us, part = s.us + q.a, s.part + q.b
    if part >= q.limit then us, part = us + 1, part - q.limit end
    return us, part
  end,
  fits = function(q, s)
    if q.a < 0 then return false end
    local us, part = kinds.level.sum(q, s)
    return us < q.c or us == q.c and part <= q.d
  end,
  add = function(q, s)
    if kinds.level.fits(q, s) then
      s.us, s.part = kinds.level.sum(q, s)
    else
      s.us, s.part = q.c, q.d
    end
  end,
  shows = function(q, s) return s.us, s.part, 0 end,
  reset = function(q, s) return s.us + 1 end,
  words = function(s) return s.us, s.part, s.limit, s.width end,
}

--> refill
-- What is missing from a bucket that gains limit at the head of each window.
kinds.refill = plain {
  load = function(q, s, v)
    local missing = math.min(v[2] or 0, q.b)
    local heads = (head(q, s.now) - head(q, v[1] or s.now)) / q.width
    s.missing = math.max(0, missing - heads * q.limit)
  end,
  fits = function(q, s) return q.cost <= q.b - s.missing end,
  add = function(q, s) s.missing = math.min(q.b, s.missing + q.cost) end,
  shows = function(q, s) return s.missing, 0, 0 end,
  reset = function(q, s)
    return math.ceil(s.missing / q.limit + 1) * q.width
  end,
  words = function(s) return s.missing end,
}

--> window first last period
-- The count of the window that is open until stop.
local function window(stop)
  return plain {
    load = function(q, s, v)
      s.stop, s.count = v[2] or 0, v[3] or 0
      if s.now >= s.stop then s.stop, s.count = stop(q, s), 0 end
    end,
    fits = function(q, s) return q.cost <= q.limit - s.count end,
    add = function(q, s)
      if s.stop == 0 then s.stop = s.now + q.width end
      s.count = math.min(CAP, s.count + q.cost)
    end,
    shows = function(q, s) return s.count, s.stop == 0 and 0 or s.stop - s.now, 0 end,
    reset = function(q, s) return math.max(0, s.stop - s.now) end,
    words = function(s) return s.stop, s.count end,
  }
end
--> window
kinds.window = window(function(q, s) return head(q, s.now) + q.width end)
--> first
kinds.first = window(function() return 0 end) -- until a request opens it
--> last
kinds.last = window(function() return 0 end)
kinds.last.add = function(q, s) -- begins it anew
  s.stop, s.count = s.now + q.width, math.min(CAP, s.count + q.cost)
end
--> period
kinds.period = window(function(q, s)
  -- The caller gives the start of a period, and the ends of three.
  if s.now >= q.a then
    for _, stop in ipairs { q.b, q.c, q.d } do
      if s.now < stop then return stop end
    end
  end
  s.lost = true
  return 0
end)

--> two
-- a·b as hi·2^52 + lo, for a and b below 2^52.
local function mul(a, b)
  local B = 67108864 -- 2^26
  local a0, b0 = fmod(a, B), fmod(b, B)
  local a1, b1 = (a - a0) / B, (b - b0) / B
  local mid = a1 * b0 + a0 * b1
  local m0 = fmod(mid, B)
  local lo, hi = a0 * b0 + m0 * B, a1 * b1 + (mid - m0) / B
  if lo >= CAP then return hi + 1, lo - CAP end
  return hi, lo
end

-- The counts of two windows.
kinds.two = plain {
  load = function(q, s, v)
    s.head, s.previous, s.current = v[2] or head(q, s.now), v[3] or 0, v[4] or 0
    local elapsed = s.now - s.head
    if elapsed >= q.width then
      s.previous, s.current = s.current, 0
      if elapsed - q.width >= q.width then s.previous = 0 end
      s.head = head(q, s.now)
    end
  end,
  fits = function(q, s)
    local rest = q.limit - q.cost - s.current
    if q.cost > q.limit or rest < 0 then return false end
    -- previous · what is left of the window < (rest + 1) · width
    local h1, l1 = mul(s.previous, q.width - (s.now - s.head))
    local h2, l2 = mul(rest + 1, q.width)
    return h1 < h2 or h1 == h2 and l1 < l2
  end,
  add = function(q, s) s.current = math.min(CAP - 1, s.current + q.cost) end,
  shows = function(q, s) return s.previous, s.current, 0 end,
  reset = function(q, s) return 2 * q.width end,
  words = function(s) return s.head, s.previous, s.current end,
}

--> log
-- A log: a list of "instant cost", the oldest first, and after them "now sum".
kinds.log = {
  read = function(key) return numbers(redis.call('LINDEX', key, -1)) end,
  load = function(q, s, v)
    s.there, s.sum = v[1] ~= nil, v[2] or 0
    s.n = math.max(0, redis.call('LLEN', q.key) - 1) -- the last is not an entry
    while s.n > 0 and s.now - numbers(redis.call('LINDEX', q.key, 0))[1] >= q.width do
      kinds.log.drop(q, s)
    end
  end,
  drop = function(q, s)
    s.sum, s.n, s.dirty = s.sum - numbers(redis.call('LPOP', q.key))[2], s.n - 1, true
  end,
  -- Forgets the oldest while the rest alone refuse everything.
  trim = function(q, s, few)
    while s.n > few and s.sum - numbers(redis.call('LINDEX', q.key, 0))[2] >= q.a do
      kinds.log.drop(q, s)
    end
  end,
  fits = function(q, s) return q.cost <= q.limit and s.sum <= q.limit - q.cost end,
  add = function(q, s)
    local cost = math.min(q.cost, q.a)
    s.sum = s.sum + cost
    local last = s.n > 0 and numbers(redis.call('LINDEX', q.key, -2)) or {}
    if last[1] == s.now then
      local total = last[2] + cost
      if total > q.a then s.sum, total = s.sum - (total - q.a), q.a end
      redis.call('LSET', q.key, -2, text(s.now, total))
      kinds.log.trim(q, s, 1)
      return
    end
    kinds.log.trim(q, s, 0)
    if s.there then redis.call('LSET', q.key, -1, text(s.now, cost)) else redis.call('RPUSH', q.key, text(s.now, cost)) end
    redis.call('RPUSH', q.key, text(s.now, s.sum))
    s.there, s.n = true, s.n + 1
  end,
  -- How long until no more than target is left.
  wait = function(q, s, target)
    local sum, from = s.sum, 0
    while from < s.n do
      local some = redis.call('LRANGE', q.key, from, math.min(from + 99, s.n - 1))
      for _, e in ipairs(some) do
        local v = numbers(e)
        sum = sum - v[2]
        if sum <= target then return q.width - (s.now - v[1]) end
      end
      from = from + #some
    end
    return 0
  end,
  shows = function(q, s)
    local wait = 0
    if q.cost <= q.limit and not kinds.log.fits(q, s) then wait = kinds.log.wait(q, s, q.limit - q.cost) end
    return s.sum, wait, kinds.log.reset(q, s)
  end,
  reset = function(q, s)
    if s.n <= 0 then return 0 end
    return q.width - (s.now - numbers(redis.call('LINDEX', q.key, -2))[1])
  end,
  save = function(s, key, ms)
    local last = text(s.now, s.sum) .. ban(s)
    if s.there then redis.call('LSET', key, -1, last) else redis.call('RPUSH', key, last) end
    redis.call('PEXPIRE', key, text(ms))
  end,
}

--> held
-- What is in progress: a hash of holder to "units until". What is not given
-- back by then counts no more.
kinds.held = {
  read = function() return {} end,
  load = function(q, s)
    s.held = 0
    local all = redis.call('HGETALL', q.key)
    for i = 1, #all, 2 do
      local v = numbers(all[i + 1])
      if s.now >= v[2] then redis.call('HDEL', q.key, all[i]) else s.held = s.held + v[1] end
    end
  end,
  fits = function(q, s) return q.cost <= q.limit - s.held end,
  add = function(q, s)
    s.held, s.stop = s.held + q.cost, s.now + q.a
    redis.call('HSET', q.key, q.holder, text(q.cost, s.stop))
  end,
  back = function(q, s)
    s.held = s.held - q.cost
    redis.call('HDEL', q.key, q.holder)
  end,
  shows = function(q, s) return s.held, 0, 0 end,
  reset = function(q, s) return s.stop and s.stop - s.now or 0 end,
  save = function(s, key, ms)
    if s.stop and redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, text(ms)) end
  end,
}

--> ban
-- A kind that bans: once it has refused, it refuses everything until the ban is
-- over. What it counts is as new from the beginning of the ban. at is which
-- number of the state the end of the ban is.
local function banned(k, at)
  return setmetatable({
    load = function(q, s, v)
      k.load(q, s, v)
      s.banned = v[at] or 0
    end,
    fits = function(q, s) return s.now >= s.banned and k.fits(q, s) end,
    deny = function(q, s)
      if s.now < s.banned then
        if not q.counted then return end
      elseif k.fits(q, s) then
        return -- another limit has refused
      else
        if k == kinds.log then redis.call('DEL', q.key) end
        k.load(q, s, {})
      end
      s.banned, s.dirty = math.max(s.banned, s.now + q.ban), true
    end,
    reset = function(q, s) return math.max(k.reset(q, s), s.banned - s.now) end,
  }, { __index = k })
end

-->
-- Reads the asks. Two that count in one place share a state.
local asks, states = {}, {}
for i = 1, #KEYS do
  local w = H + (i - 1) * F
  local q = {
    key = KEYS[i], kind = kinds[ARGV[w + 1]], shadow = ARGV[w + 2] == '1', counted = ARGV[w + 3] == '1',
    cost = tonumber(ARGV[w + 4]), limit = tonumber(ARGV[w + 5]), width = tonumber(ARGV[w + 6]),
    a = tonumber(ARGV[w + 7]), b = tonumber(ARGV[w + 8]), c = tonumber(ARGV[w + 9]), d = tonumber(ARGV[w + 10]),
    holder = ARGV[w + 11], look = ARGV[w + 12] == '1', ban = tonumber(ARGV[w + 13]),
  }
--> ban
  if q.ban > 0 then q.kind = banned(q.kind, q.kind == kinds.log and 3 or q.kind == kinds.two and 5 or 4) end
-->
  asks[i] = q
end
local function bring(q)
  q.s = states[q.key]
  if q.s then return end
  local v = q.kind.read(q.key)
  q.s = { now = math.max(t, origin, v[1] or 0) }
  states[q.key] = q.s
  q.kind.load(q, q.s, v)
end
--> period
-- Periods first: what comes after may write.
for _, q in ipairs(asks) do
  if q.kind == kinds.period then
    bring(q)
    if q.s.lost then return { 2, t } end
  end
end
-->
for _, q in ipairs(asks) do bring(q) end

local function fits(q) return q.cost <= 0 or q.kind.fits(q, q.s) end

local function add(q)
  q.kind.add(q, q.s)
  q.s.dirty = true
end

-- Counts a refusal, or bans for it.
local function deny(q)
  if q.kind.deny then q.kind.deny(q, q.s) elseif q.counted then add(q) end
end

-- Spends the cost if it fits, or counts the refusal, and says which.
local function take(q)
  if q.cost <= 0 then return true end
  local ok = q.kind.fits(q, q.s)
  if q.look then return ok end
  if ok then add(q) else deny(q) end
  return ok
end

local admitted, own, stopped = true, {}, 0
if chain then
  for i, q in ipairs(asks) do
    own[i] = take(q)
    if not own[i] and not q.shadow then
      admitted, stopped = false, i
      for j = 1, i - 1 do
        if asks[j].kind.back and own[j] and asks[j].cost > 0 and not asks[j].look then asks[j].kind.back(asks[j], asks[j].s) end
      end
      break
    end
  end
else
  for _, q in ipairs(asks) do
    if not q.shadow and not fits(q) then admitted = false end
  end
  for i, q in ipairs(asks) do
    if admitted then
      own[i] = take(q)
    elseif q.cost > 0 and not q.look then
      deny(q)
    end
  end
end

-- Says how things are now, and writes what has changed.
local out = { admitted and 1 or 0, t, stopped }
for i, q in ipairs(asks) do
  local s, n = q.s, #out
  local ok = own[i]
  if not admitted then ok = fits(q) end
  local x, y, z = q.kind.shows(q, s)
  out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = ok and 1 or 0, s.now, x, y, z
  out[n + 6] = math.max(0, (s.banned or 0) - s.now)
end
for _, q in ipairs(asks) do
  local s = q.s
  if not s.saved and (s.dirty or not lazy) then
    local ms = tonumber(ttl) or math.ceil((s.now - t + q.kind.reset(q, s)) / 1000) + 1000
    q.kind.save(s, q.key, math.min(ms, 1000000000000))
    s.saved = true
  end
end
return out
