-- Ends a session, if it is the one that holds.
-- KEYS: the user's sessions. ARGV: device, login, attempt, server, connection.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
  local session = string.match(held, '^%d+ (%d+ %d+ %S+ %S+) ')
  if session == table.concat(ARGV, ' ', 2) then
    redis.call('HDEL', KEYS[1], ARGV[1])
  end
end
return 'OK'
