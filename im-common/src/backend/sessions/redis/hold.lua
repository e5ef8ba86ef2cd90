-- Makes a session hold, if no newer one does.
-- KEYS: the user's sessions.
-- ARGV: device, login, attempt, server, connection, lease in milliseconds.
-- Returns "same", "absent", "displaced" or "superseded", and the session that held before.
local device, login, attempt, server, connection, lease = unpack(ARGV)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Entries of devices that are gone would stay for as long as another one of the user lives.
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  if tonumber(string.match(entries[i + 1], '^(%d+) ')) <= now then
    redis.call('HDEL', KEYS[1], entries[i])
  end
end

local outcome = 'absent'
local held = redis.call('HGET', KEYS[1], device)
if held then
  local held_login, held_attempt, held_server, held_connection =
    string.match(held, '^%d+ (%d+) (%d+) (%S+) (%S+)$')
  local newer = tonumber(login) - tonumber(held_login)
  if newer == 0 then
    newer = tonumber(attempt) - tonumber(held_attempt)
  end
  if newer > 0 then
    outcome = 'displaced'
  elseif newer == 0 and held_server == server and held_connection == connection then
    outcome = 'same'
  else
    return { 'superseded', held }
  end
end

local deadline = string.format('%.0f', now + lease)
redis.call('HSET', KEYS[1], device, table.concat({ deadline, login, attempt, server, connection }, ' '))
redis.call('PEXPIRE', KEYS[1], lease)
return { outcome, held or '' }
