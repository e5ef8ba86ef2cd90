-- Returns the epoch and the head of a log, and its epochs that have ended.
-- KEYS: meta, epochs.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'head')
return { meta[1] or '0', meta[2] or '0', redis.call('LRANGE', KEYS[2], 0, -1) }
