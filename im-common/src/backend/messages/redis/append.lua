-- Appends the drafts of one conversation in order, all in one step: deduplicates, numbers, stores,
-- and notes each new message as unsettled.
-- KEYS: log, ids, meta, unsettled.
-- ARGV: conversation, epoch in case the log is new; then for each draft its id field, the digest of
-- its text, and its entry.
-- Returns the epoch, and for each draft {status, sequence, entry}: status 0 for a new message, 1 for
-- a duplicate (with the entry that is stored), 2 for a conflict.
local log, ids, meta, unsettled = unpack(KEYS)
local conversation, fresh_epoch = ARGV[1], ARGV[2]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A log of which a part was lost begins anew as a whole, or sequences would repeat or leave a gap.
local epoch = redis.call('HGET', meta, 'epoch')
if not epoch or redis.call('EXISTS', log) == 0 then
  redis.call('DEL', log, ids, meta)
  redis.call('HSET', meta, 'epoch', fresh_epoch, 'head', 0)
  epoch = fresh_epoch
end

local answers = {}
for i = 3, #ARGV, 3 do
  local id, digest, entry = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = redis.call('HGET', ids, id)
  if not known then
    local sequence = string.format('%.0f', redis.call('HINCRBY', meta, 'head', 1))
    redis.call('XADD', log, sequence .. '-0', 'm', entry)
    redis.call('HSET', ids, id, sequence .. ':' .. digest)
    redis.call('ZADD', unsettled, now, conversation .. '/' .. sequence)
    answers[#answers + 1] = { 0, tonumber(sequence), '' }
  else
    local colon = string.find(known, ':', 1, true)
    local sequence = string.sub(known, 1, colon - 1)
    if string.sub(known, colon + 1) == digest then
      local found = redis.call('XRANGE', log, sequence .. '-0', sequence .. '-0')
      answers[#answers + 1] = { 1, tonumber(sequence), found[1][2][2] }
    else
      answers[#answers + 1] = { 2, 0, '' }
    end
  end
end
return { epoch, answers }
