-- Ends the waiting of messages, each unless it is lost: then another one may have its sequence.
-- KEYS: unsettled, claims; then for each message the meta and the epochs of its log.
-- ARGV: for each message its member of `unsettled`, the epoch it was read in, its sequence.

-- What `Lineage::end_of` (lineage.rs) says of the epoch.
local function is_still_there(meta, epochs, epoch, sequence)
  local newest = redis.call('HGET', meta, 'epoch')
  if not newest or epoch >= tonumber(newest) then
    return true
  end
  local ended = redis.call('LRANGE', epochs, 0, -1)
  for i = #ended, 1, -1 do
    local known, last = string.match(ended[i], '^(%d+):(%d+)$')
    if tonumber(known) <= epoch then
      return sequence <= tonumber(last)
    end
  end
  return false
end

for i = 1, #ARGV, 3 do
  local member, epoch, sequence = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local log = 3 + (i - 1) / 3 * 2
  if is_still_there(KEYS[log], KEYS[log + 1], epoch, sequence) then
    redis.call('ZREM', KEYS[1], member)
    redis.call('HDEL', KEYS[2], member)
  end
end
return 'OK'
