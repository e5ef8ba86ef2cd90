-- Counts the messages that have waited long enough.
-- KEYS: unsettled. ARGV: how long, in milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZCOUNT', KEYS[1], '-inf', now - ARGV[1])
