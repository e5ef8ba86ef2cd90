-- Returns the epoch of a log and its entry at a sequence. If there is none, nothing is left that could
-- wait, and nothing is returned.
-- KEYS: log, meta, unsettled, claims. ARGV: sequence, its member of `unsettled`.
local epoch = redis.call('HGET', KEYS[2], 'epoch')
local found = redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
if epoch and found then
  return { epoch, found[2][2] }
end
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
return false
