-- Reserves one request under every claim, or nothing.
--
-- KEYS  1 run   2 open   3 held   4.. the account of each claim
-- ARGV  1 run   2 hold id   3 milliseconds that the hold lasts   4 number of claims
--       then for each claim: kind, mode, need, limit, a, b, seed, seed's start
--         kind  b bucket (a rate, b capacity)   c calendar window (a start, b end, in seconds)
--               r rolling window (a seconds of a part, b seconds of the window)   h held at once
--         mode  e enforce   d dry run: count and never refuse   s skip when there is no room
-- Returns  {2, ms}: the counters do not know of this run   {3, ms}: the clock is in another window
--          {0 refused or 1 admitted, ms, then for each claim: used, reserved by running requests,
--           thousandths of a request in the bucket, ms until it may fit, slot, 1 if there is room}
-- The clock is Redis' own, so that workers need not agree on theirs.

local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local now = ms / 1000
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {2, ms} end

-- never '-0', which Redis does not take for a number
local function whole(n) return string.format('%.0f', n + 0) end

local function give_back(id)
  local kept = redis.call('HGET', KEYS[3], id)
  if kept and kept ~= 'd' then
    for _, e in ipairs(cmsgpack.unpack(kept)) do
      if redis.call('EXISTS', e[1]) == 1 then
        redis.call('HINCRBY', e[1], e[2], whole(-e[3]))
        if e[2] ~= 'h' then redis.call('HINCRBY', e[1], 'h', whole(-e[3])) end
      end
    end
  end
  redis.call('HDEL', KEYS[3], id)
  redis.call('ZREM', KEYS[2], id)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ms, 'LIMIT', 0, 32)) do
  give_back(id)
end

local n = tonumber(ARGV[4])
local out, plan, refused = {0, ms}, {}, false
for i = 1, n do
  local key, o = KEYS[3 + i], 4 + (i - 1) * 8
  local kind, mode = ARGV[o + 1], ARGV[o + 2]
  local need, limit = tonumber(ARGV[o + 3]), tonumber(ARGV[o + 4])
  local a, b = tonumber(ARGV[o + 5]), tonumber(ARGV[o + 6])
  local seed, seed_start = tonumber(ARGV[o + 7]), tonumber(ARGV[o + 8])
  local used, held, level, opens, slot, field, room = 0, 0, 0, 0, 0, '', false
  if kind == 'b' then
    local v = redis.call('HMGET', key, 'v', 't')
    level = b
    if v[1] then level = math.min(b, v[1] + math.max(0, now - v[2]) * a) end
    room = level >= 0.999
    if not room then opens = (1 - level) / a * 1000 end
    used = b - math.floor(level + 1e-9)
  elseif kind == 'c' then
    if now < a or now >= b then return {3, ms} end
    local v = redis.call('HMGET', key, 'u', 'h')
    used, held, slot, field = tonumber(v[1] or 0), tonumber(v[2] or 0), a, 'u'
    if seed > used - held and seed_start == a then
      used = seed + held -- the ledger knows no request that runs
      redis.call('HSET', key, 'u', whole(used))
      redis.call('PEXPIREAT', key, whole((b + 3600) * 1000))
    end
    room = used + need <= limit
    opens = (b - now) * 1000
  elseif kind == 'r' then
    slot = math.floor(now / a) * a
    field = whole(slot)
    local v, parts, gone = redis.call('HGETALL', key), {}, now - b - a
    for j = 1, #v, 2 do
      if v[j] == 'h' then
        held = tonumber(v[j + 1])
      else
        local start, amount = tonumber(v[j]), tonumber(v[j + 1])
        if start <= gone then
          redis.call('HDEL', key, v[j])
        else
          used = used + amount
          parts[#parts + 1] = {start, amount}
        end
      end
    end
    if seed > used - held and seed_start > gone then
      redis.call('HINCRBY', key, field, whole(seed + held - used))
      redis.call('PEXPIRE', key, whole((b + 2 * a) * 1000))
      used = seed + held
    end
    room = used + need <= limit
    if not room then
      opens = b * 1000
      table.sort(parts, function(x, y) return x[1] < y[1] end)
      local left = used
      for _, part in ipairs(parts) do
        left = left - part[2]
        if left + need <= limit then
          opens = math.max(0, (part[1] + a + b - now) * 1000)
          break
        end
      end
    end
  else
    held = tonumber(redis.call('HGET', key, 'h') or 0)
    used, field = held, 'h'
    room = held < limit
    opens = 1000
  end
  if not room and mode == 'e' then refused = true end
  plan[i] = {kind, room or mode ~= 's', need, field, level}
  local p = 2 + (i - 1) * 6
  out[p + 1], out[p + 2], out[p + 3] = used, held, math.floor(level * 1000)
  out[p + 4], out[p + 5], out[p + 6] = math.ceil(opens), slot, room and 1 or 0
end
if refused then return out end

local entries = {}
for i = 1, n do
  local key, o, p = KEYS[3 + i], 4 + (i - 1) * 8, 2 + (i - 1) * 6
  local kind, takes, need, field, level = unpack(plan[i])
  if takes then
    local a, b = tonumber(ARGV[o + 5]), tonumber(ARGV[o + 6])
    if kind == 'b' then
      redis.call('HSET', key, 'v', tostring(level - 1), 't', string.format('%.3f', now))
      redis.call('PEXPIRE', key, whole(math.ceil(b / a) * 1000 + 60000))
      out[p + 3] = math.floor((level - 1) * 1000)
    else
      redis.call('HINCRBY', key, field, whole(need))
      if kind ~= 'h' then redis.call('HINCRBY', key, 'h', whole(need)) end
      entries[#entries + 1] = {key, field, need}
      out[p + 1], out[p + 2] = out[p + 1] + need, out[p + 2] + need
      if kind == 'c' then
        redis.call('PEXPIREAT', key, whole((b + 3600) * 1000))
      elseif kind == 'r' then
        redis.call('PEXPIRE', key, whole((b + 2 * a) * 1000))
      end
    end
  end
end
out[1] = 1
if #entries > 0 then
  redis.call('HSET', KEYS[3], ARGV[2], cmsgpack.pack(entries))
  redis.call('ZADD', KEYS[2], whole(ms + ARGV[3]), ARGV[2])
end
return out
