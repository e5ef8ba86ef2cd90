-- Returns the user's devices and sessions, without those whose lease ran out.
-- KEYS: the user's sessions.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries = redis.call('HGETALL', KEYS[1])
local live = {}
for i = 1, #entries, 2 do
  if tonumber(string.match(entries[i + 1], '^(%d+) ')) > now then
    live[#live + 1] = { entries[i], entries[i + 1] }
  end
end
return live
