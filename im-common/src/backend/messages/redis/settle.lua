-- Ends the waiting of messages.
-- KEYS: unsettled, claims. ARGV: members of `unsettled`.
for _, member in ipairs(ARGV) do
  redis.call('ZREM', KEYS[1], member)
  redis.call('HDEL', KEYS[2], member)
end
return 'OK'
