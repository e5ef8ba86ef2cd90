-- Ends a login, if it is the one that holds.
-- KEYS: the user's logins. ARGV: device, epoch.
local login = redis.call('HGET', KEYS[1], ARGV[1])
if login and string.match(login, '^(%d+):') == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 'OK'
