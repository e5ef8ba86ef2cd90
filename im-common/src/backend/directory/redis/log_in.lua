-- Logs a device in; the oldest login goes when there are too many.
-- KEYS: the user's logins, the epoch of its newest login.
-- ARGV: device, digest of the token, most logins.
-- Returns the login's epoch, greater than all before of this user. The clock makes that true even
-- if the epochs before were lost.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or 0)
local epoch = math.max(last + 1, now)
local text = string.format('%.0f', epoch)

redis.call('SET', KEYS[2], text)
redis.call('HSET', KEYS[1], ARGV[1], text .. ':' .. ARGV[2])

while redis.call('HLEN', KEYS[1]) > tonumber(ARGV[3]) do
  local logins = redis.call('HGETALL', KEYS[1])
  local oldest, oldest_epoch
  for i = 1, #logins, 2 do
    local login_epoch = tonumber(string.match(logins[i + 1], '^(%d+):'))
    if not oldest or login_epoch < oldest_epoch then
      oldest, oldest_epoch = logins[i], login_epoch
    end
  end
  redis.call('HDEL', KEYS[1], oldest)
end
return epoch
