-- Moves positions: forward within an epoch, anywhere in a later one.
-- KEYS: the user's positions, and the device's if a device moves.
-- ARGV: conversation, epoch, sequence; again for each position.

-- Nearly always it has begun when it attached (begin.lua); not if that was lost.
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 0 then
  local begin = redis.call('HGETALL', KEYS[1])
  for i = 1, #begin, 2 do
    redis.call('HSET', KEYS[2], begin[i], begin[i + 1])
  end
end

for _, key in ipairs(KEYS) do
  for i = 1, #ARGV, 3 do
    local conversation, epoch, sequence = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local moves = true
    local known = redis.call('HGET', key, conversation)
    if known then
      local known_epoch, known_sequence = string.match(known, '^(%d+):(%d+)$')
      if known_epoch == epoch then
        moves = tonumber(known_sequence) < tonumber(sequence)
      else
        moves = tonumber(known_epoch) < tonumber(epoch)
      end
    end
    if moves then
      redis.call('HSET', key, conversation, epoch .. ':' .. sequence)
    end
  end
end
return 'OK'
