-- Returns the device's positions, or its user's if the device never moved.
-- KEYS: the user's positions, the device's.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.call('HGETALL', KEYS[2])
end
return redis.call('HGETALL', KEYS[1])
