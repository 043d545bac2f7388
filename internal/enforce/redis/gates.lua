-- Notes that the process ARGV[1] is there, and counts those noted in the last
-- ARGV[2] milliseconds.
local s = redis.call('TIME')
local now = tonumber(s[1]) * 1000 + math.floor(tonumber(s[2]) / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 2 * tonumber(ARGV[2])))
return redis.call('ZCARD', KEYS[1])
