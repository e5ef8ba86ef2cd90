-- Claims messages that have waited long enough: the next claim has to wait as long again, and twice
-- as long each time after, up to a longest wait.
-- KEYS: unsettled, claims. ARGV: how long they must have waited, how many, longest wait; times in
-- milliseconds. Returns the members of `unsettled` that are claimed.
local waiting, longest = tonumber(ARGV[1]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local claimed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - waiting, 'LIMIT', 0, ARGV[2])
for _, member in ipairs(claimed) do
  local times = redis.call('HINCRBY', KEYS[2], member, 1)
  local wait = math.max(waiting, math.min(waiting * 2 ^ (times - 1), longest))
  -- The score is the time from which it waits: what exceeds `waiting` lies in the future.
  redis.call('ZADD', KEYS[1], now + wait - waiting, member)
end
return claimed
