-- Claims a name for an account. Claiming it again for the same account succeeds: the client
-- library may send a request twice when a connection breaks.
-- KEYS: the account's key. ARGV: id, name, password hash. Returns 1, or 0 if the name is taken.
local holder = redis.call('HGET', KEYS[1], 'id')
if holder then
  return holder == ARGV[1] and 1 or 0
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'name', ARGV[2], 'password', ARGV[3])
return 1
