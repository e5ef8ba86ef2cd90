-- Draws a user id that is greater than all before.
-- KEYS: the newest user id. ARGV: the least step.
-- By the clock, an id that was lost is not given to somebody else, as whoever had it may still be
-- attached, and would get the other's messages. From 2026 on, which leaves 11 digits for years.
local YEAR_2026_MS = 1767225600000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) - YEAR_2026_MS
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
local user = math.max(last + tonumber(ARGV[1]), now)
redis.call('SET', KEYS[1], string.format('%.0f', user))
return user
