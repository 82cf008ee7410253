-- Wireshark dissector for captures by `edgenode capture` (docs/gossip.md, "Looking at it").
--
--   edgenode capture ward.pcapng --seconds 30
--   wireshark -X lua_script:docs/edgenode.lua ward.pcapng
--
-- Display filters: edgenode.kind == "get_chunks", edgenode.object, edgenode.tag, edgenode.height, ...

local proto = Proto("edgenode", "edgenode gossip")

local KINDS = {
  [1] = "status", [2] = "get_addresses", [3] = "addresses", [4] = "get_headers", [5] = "headers",
  [6] = "get_chunks", [7] = "chunk", [8] = "absent", [9] = "get_transactions",
  [10] = "new_transaction", [11] = "new_block", [12] = "holdings", [13] = "goodbye",
}
local HANDSHAKE = { [1] = "hello", [2] = "welcome", [3] = "offer", [4] = "accept", [5] = "beacon" }
local OBJECTS = {
  [1] = "block", [2] = "payload", [3] = "state", [4] = "parameters", [5] = "piece hashes",
}
local REASONS = { [1] = "the sender stops", [2] = "no place any more" }
local FORMS = {
  [2] = "gate, sealed", [3] = "channel, sealed", [0x82] = "gate", [0x83] = "channel",
}

local f = proto.fields
f.form = ProtoField.uint8("edgenode.form", "Form", base.HEX, FORMS)
f.channel = ProtoField.uint32("edgenode.channel", "Index of the channel", base.HEX)
f.counter = ProtoField.uint64("edgenode.counter", "Counter")
f.kind = ProtoField.string("edgenode.kind", "Kind")
f.version = ProtoField.uint16("edgenode.version", "Version")
f.nonce = ProtoField.bytes("edgenode.nonce", "Nonce")
f.cookie = ProtoField.bytes("edgenode.cookie", "Cookie")
f.ephemeral = ProtoField.bytes("edgenode.ephemeral", "Ephemeral key")
f.offer = ProtoField.uint32("edgenode.offer", "Index in the offer", base.HEX)
f.member = ProtoField.bytes("edgenode.member", "Member")
f.instance = ProtoField.uint64("edgenode.instance", "Instance", base.HEX)
f.sync = ProtoField.uint8("edgenode.sync", "Sync socket")
f.host = ProtoField.ipv6("edgenode.host", "Host")
f.port = ProtoField.uint16("edgenode.port", "Port")
f.signature = ProtoField.bytes("edgenode.signature", "Signature")
f.head = ProtoField.bytes("edgenode.head", "Head")
f.height = ProtoField.uint32("edgenode.height", "Height")
f.work = ProtoField.bytes("edgenode.work", "Work")
f.justified = ProtoField.uint32("edgenode.justified", "Justified height")
f.sequence = ProtoField.uint32("edgenode.sequence", "Sequence")
f.echo = ProtoField.uint32("edgenode.echo", "Echo")
f.held = ProtoField.uint32("edgenode.held", "Held, in microseconds")
f.count = ProtoField.uint8("edgenode.count", "Count")
f.id = ProtoField.bytes("edgenode.id", "Id")
f.object = ProtoField.uint8("edgenode.object", "Object", base.DEC, OBJECTS)
f.tag = ProtoField.uint32("edgenode.tag", "Tag")
f.first = ProtoField.uint32("edgenode.first", "First chunk")
f.chunks = ProtoField.uint16("edgenode.chunks", "Chunks")
f.index = ProtoField.uint32("edgenode.index", "Chunk")
f.length = ProtoField.uint32("edgenode.length", "Length of the object")
f.time = ProtoField.uint32("edgenode.time", "Time, in microseconds")
f.pieces = ProtoField.uint16("edgenode.pieces", "Pieces")
f.have = ProtoField.bytes("edgenode.have", "Pieces that it has")
f.header = ProtoField.bytes("edgenode.header", "Header")
f.reason = ProtoField.uint8("edgenode.reason", "Reason", base.DEC, REASONS)
f.data = ProtoField.bytes("edgenode.data", "Data")

-- A cursor over the bytes of a message, which adds fields as it goes.
local function cursor(buffer, tree)
  local at = 0
  local self = {}
  function self.add(field, length)
    tree:add_le(field, buffer(at, length))
    at = at + length
    return buffer(at - length, length)
  end
  function self.big(field, length)
    tree:add(field, buffer(at, length))
    at = at + length
  end
  function self.left() return buffer:len() - at end
  function self.rest(field)
    if self.left() > 0 then self.add(field, self.left()) end
  end
  return self
end

local function introduction(c)
  c.add(f.member, 32)
  c.add(f.instance, 8)
  c.add(f.channel, 4)
  c.add(f.sync, 1)
  c.big(f.host, 16)
  c.add(f.port, 2)
  c.add(f.signature, 64)
end

local function tip(c)
  c.add(f.head, 32)
  c.add(f.height, 4)
  c.add(f.work, 32)
  c.add(f.justified, 4)
end

local function each(c, read)
  for _ = 1, c.add(f.count, 1):uint() do read() end
end

local handshake = {
  hello = function(c) c.add(f.version, 2); c.add(f.nonce, 16); c.add(f.cookie, 16) end,
  offer = function(c)
    c.add(f.nonce, 16); c.add(f.cookie, 16); c.add(f.ephemeral, 32); introduction(c)
  end,
  accept = function(c) c.add(f.offer, 4); c.add(f.ephemeral, 32); introduction(c) end,
  beacon = function(c)
    c.add(f.version, 2); c.add(f.member, 32); c.add(f.instance, 8); c.big(f.host, 16)
    c.add(f.port, 2); c.add(f.signature, 64)
  end,
}
handshake.welcome = handshake.hello

local messages = {
  status = function(c)
    tip(c)
    c.add(f.sequence, 4); c.add(f.echo, 4); c.add(f.held, 4)
    each(c, function() c.add(f.id, 20) end)
  end,
  addresses = function(c) each(c, function() c.big(f.host, 16); c.add(f.port, 2) end) end,
  get_headers = function(c) each(c, function() c.add(f.id, 32) end) end,
  headers = function(c) each(c, function() c.add(f.header, 80) end) end,
  get_chunks = function(c)
    c.add(f.object, 1); c.add(f.id, 32); c.add(f.tag, 4)
    each(c, function() c.add(f.first, 4); c.add(f.chunks, 2) end)
  end,
  chunk = function(c) c.add(f.tag, 4); c.add(f.index, 4); c.add(f.length, 4); c.add(f.time, 4) end,
  absent = function(c) c.add(f.object, 1); c.add(f.id, 32) end,
  get_transactions = function(c) each(c, function() c.add(f.id, 20) end) end,
  new_block = function(c) c.add(f.header, 80); tip(c) end,
  holdings = function(c)
    each(c, function()
      c.add(f.object, 1); c.add(f.id, 32)
      local pieces = c.add(f.pieces, 2):le_uint()
      if pieces > 0 then c.add(f.have, math.floor((pieces + 7) / 8)) end
    end)
  end,
  goodbye = function(c) c.add(f.reason, 1) end,
}

function proto.dissector(buffer, pinfo, tree)
  if buffer:len() == 0 then return 0 end
  local form = buffer(0, 1):uint()
  if FORMS[form] == nil then return 0 end
  pinfo.cols.protocol = "edgenode"
  local shown = tree:add(proto, buffer())
  shown:add(f.form, buffer(0, 1))
  if form == 2 or form == 3 then
    pinfo.cols.info = FORMS[form]
    return buffer:len()
  end
  local at, names, readers = 1, HANDSHAKE, handshake
  if form == 0x83 then
    shown:add_le(f.channel, buffer(1, 4))
    shown:add_le(f.counter, buffer(5, 8))
    at, names, readers = 13, KINDS, messages
  end
  local name = names[buffer(at, 1):uint()] or "unknown"
  shown:add(f.kind, buffer(at, 1), name)
  pinfo.cols.info = name
  if buffer:len() > at + 1 then
    local c = cursor(buffer(at + 1):tvb(), shown)
    if readers[name] then readers[name](c) end
    c.rest(f.data)
  end
  return buffer:len()
end

local function looks_like_it(buffer, pinfo, tree)
  if buffer:len() == 0 or FORMS[buffer(0, 1):uint()] == nil then return false end
  proto.dissector(buffer, pinfo, tree)
  return true
end

for port = 7070, 7072 do DissectorTable.get("udp.port"):add(port, proto) end
proto:register_heuristic("udp", looks_like_it)
