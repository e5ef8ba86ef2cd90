-- Has a device begin where its user is, unless it has begun, and returns its positions.
-- KEYS: the user's positions, the device's.
if redis.call('EXISTS', KEYS[2]) == 0 then
  local begin = redis.call('HGETALL', KEYS[1])
  for i = 1, #begin, 2 do
    redis.call('HSET', KEYS[2], begin[i], begin[i + 1])
  end
  if #begin == 0 then
    -- In the lobby, which is everybody's: "nothing was handled" keeps the hash in being.
    redis.call('HSET', KEYS[2], 'lobby', '0:0')
  end
end
return redis.call('HGETALL', KEYS[2])
