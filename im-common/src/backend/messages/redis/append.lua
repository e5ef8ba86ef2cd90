-- Appends the drafts of one conversation in order, all in one step: deduplicates, numbers, stores,
-- and notes each new message as unsettled.
-- KEYS: log, ids, meta, epochs, unsettled.
-- ARGV: conversation, most epochs to remember; then for each draft its id field, the digest of its
-- text, and its entry.
-- Returns the epoch, and for each draft {status, sequence, entry}: status 0 for a new message, 1 for
-- a duplicate (with the entry that is stored), 2 for a conflict.
local log, ids, meta, epochs, unsettled = unpack(KEYS)
local conversation, epochs_max = ARGV[1], tonumber(ARGV[2])

-- Redis undoes nothing of a script that fails: what cannot be written has to show before the first
-- write.
local kinds = { 'stream', 'hash', 'hash', 'list', 'zset' }
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= kinds[i] and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is no ' .. kinds[i] .. ' but a ' .. kind)
  end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A replication id is drawn when a master starts and when a replica takes over. What one such life
-- has told anybody, it holds: only the next one may have lost the end of that.
local life = string.match(redis.call('INFO', 'replication'), '\nmaster_replid:(%x+)')
assert(life, 'redis does not tell its master_replid')

-- Later than every epoch of this log, also than those that were lost with its end.
local function next_epoch(epoch)
  local micros = time[1] * 1000000 + time[2]
  return string.format('%.0f', math.max(micros, tonumber(epoch or 0) + 1))
end

local known = redis.call('HMGET', meta, 'epoch', 'head', 'life')
local epoch, head, last_life = known[1], known[2], known[3]
local function is_whole()
  if not epoch then
    return false
  end
  if last_life == life then
    return redis.call('EXISTS', log) == 1
  end
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  return last and last[1] == head .. '-0'
end

if not is_whole() then
  -- A log of which a part is missing begins anew as a whole: what one step wrote is kept or lost as
  -- a whole, so somebody meddled, and sequences would repeat or leave a gap.
  redis.call('DEL', log, ids, meta, epochs)
  epoch = next_epoch(epoch)
  redis.call('HSET', meta, 'epoch', epoch, 'head', 0, 'life', life)
elseif last_life ~= life then
  redis.call('RPUSH', epochs, epoch .. ':' .. head)
  redis.call('LTRIM', epochs, -epochs_max, -1)
  epoch = next_epoch(epoch)
  redis.call('HSET', meta, 'epoch', epoch, 'life', life)
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
