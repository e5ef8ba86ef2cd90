-- Reads a part of a log together with its epoch and head.
-- KEYS: log, meta, epochs.
-- ARGV: XRANGE or XREVRANGE, from, to, most messages, most bytes of entries; and the epoch of the
-- reader's position, if it has one.
-- Returns epoch, head, {sequence, entry} for each message, and the epochs that have ended if the
-- reader's is another one. The message that passes the most bytes is the last.
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'head')
local entries = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'COUNT', ARGV[4]) or {}
local page, bytes = {}, 0
for _, entry in ipairs(entries) do
  local sequence = string.match(entry[1], '^(%d+)%-0$')
  page[#page + 1] = { tonumber(sequence), entry[2][2] }
  bytes = bytes + #entry[2][2]
  if bytes > tonumber(ARGV[5]) then
    break
  end
end
local ended = {}
if ARGV[6] and ARGV[6] ~= meta[1] then
  ended = redis.call('LRANGE', KEYS[3], 0, -1)
end
return { meta[1] or '0', meta[2] or '0', page, ended }
