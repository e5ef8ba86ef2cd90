-- Returns the epoch of a log and its entry at a sequence, or nothing.
-- KEYS: log, meta. ARGV: sequence.
local epoch = redis.call('HGET', KEYS[2], 'epoch')
local found = redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
if epoch and found then
  return { epoch, found[2][2] }
end
return false
