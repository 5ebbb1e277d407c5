-- KEYS[1]: deadlines by id. ARGV: the call, then ids.
redis.call('ZREM', KEYS[1], unpack(ARGV, 2))
return { ARGV[1] }
