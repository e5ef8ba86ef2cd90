-- Makes a session hold its slot, if nothing stands against it; decides as `SlotPolicy::meet` does.
-- KEYS: the user's sessions.
-- ARGV: device, login, attempt, server, connection, lease in milliseconds, what has a slot
-- ("device" or "user"), what a second login does ("displace" or "refuse").
-- Returns "extended" or "begun" and the sessions that were displaced, or "superseded" or "occupied"
-- and the session that stays; sessions with their devices.
-- A session that was last held in another life of this Redis begins anew: what that life lost may be
-- messages too, so its device has to look into its logs.
local device, login, attempt, server, connection, lease, per, second_login = unpack(ARGV)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- As in append.lua: drawn when a master starts and when a replica takes over.
local life = string.match(redis.call('INFO', 'replication'), '\nmaster_replid:(%x+)')
assert(life, 'redis does not tell its master_replid')

local outcome = 'begun'
local displaced = {}
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local other, text = entries[i], entries[i + 1]
  local deadline, held_login, held_attempt, held_server, held_connection, held_life =
    string.match(text, '^(%d+) (%d+) (%d+) (%S+) (%S+) (%x+)$')
  local is_here = other == device
  if tonumber(deadline) <= now then
    -- Entries of devices that are gone would stay for as long as another one of the user lives.
    redis.call('HDEL', KEYS[1], other)
  elseif is_here or per == 'user' then
    local newer = tonumber(login) - tonumber(held_login)
    if newer == 0 then
      newer = tonumber(attempt) - tonumber(held_attempt)
    end
    if is_here and newer == 0 and held_server == server and held_connection == connection then
      outcome = held_life == life and 'extended' or 'begun'
    elseif not is_here and second_login == 'refuse' then
      return { 'occupied', { { other, text } } }
    elseif newer > 0 then
      displaced[#displaced + 1] = { other, text }
    else
      return { 'superseded', { { other, text } } }
    end
  end
end

for _, older in ipairs(displaced) do
  redis.call('HDEL', KEYS[1], older[1])
end
local deadline = string.format('%.0f', now + lease)
local entry = { deadline, login, attempt, server, connection, life }
redis.call('HSET', KEYS[1], device, table.concat(entry, ' '))
redis.call('PEXPIRE', KEYS[1], lease)
return { outcome, displaced }
