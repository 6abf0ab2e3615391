-- Tells counters that began anew what a worker still holds, or has used and the ledger not yet says.
--
-- KEYS  1 run   2 open   3 held   4.. accounts
-- ARGV  1 run   2 number of entries, then for each: id, milliseconds, '1' while the request runs or
--       '0' for what was used, number of amounts, and for each of these: which account (from 1),
--       field, amount, milliseconds that it lasts
-- Each id is taken once, so that asking again changes nothing.

local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local function whole(n) return string.format('%.0f', n + 0) end

redis.call('SET', KEYS[1], ARGV[1])
local at, taken = 3, 0
for _ = 1, tonumber(ARGV[2]) do
  local id, lasts, is_running, n = ARGV[at], ARGV[at + 1], ARGV[at + 2] == '1', tonumber(ARGV[at + 3])
  at = at + 4
  local is_new = redis.call('HEXISTS', KEYS[3], id) == 0
  local entries = {}
  for _ = 1, n do
    local key, field = KEYS[3 + ARGV[at]], ARGV[at + 1]
    local amount, stays = tonumber(ARGV[at + 2]), ARGV[at + 3]
    at = at + 4
    if is_new and (field ~= 'h' or is_running) then
      redis.call('HINCRBY', key, field, whole(amount))
      if field ~= 'h' then
        if is_running then redis.call('HINCRBY', key, 'h', whole(amount)) end
        if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, stays) end
      end
      entries[#entries + 1] = {key, field, amount}
    end
  end
  if is_new then
    redis.call('HSET', KEYS[3], id, is_running and cmsgpack.pack(entries) or 'd')
    redis.call('ZADD', KEYS[2], whole(ms + lasts), id)
    taken = taken + 1
  end
end
return taken
