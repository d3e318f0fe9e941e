// foreign/assemblyscript: counts how often it has seen each height.
//
// The map and the counter are set up by the start section and live as long as the instance. In a fresh one
// there is one height, seen once. The map is in the memory, the counter and the collector's own pointers are
// in globals that nobody outside can see, so resetting one of them and not the other shows as well.
//
//   /seen/<height>  ->  blocks seen, heights seen, then each height and how often it has been seen
//   /total          ->  bytes of payload in all blocks so far, as far as the host's store knows
//
// The height in the key is ASCII decimal; numbers are little-endian u32. An ArrayBuffer has its length right
// before its bytes, which is just what the ABI asks for.

@external("env", "__host_len") declare function host_len(): i32;
@external("env", "__load_input") declare function load_input(buffer: ArrayBuffer): void;
@external("env", "__get_len") declare function get_len(key: ArrayBuffer): i32;
@external("env", "__get") declare function get(key: ArrayBuffer, value: ArrayBuffer): void;
@external("env", "__flush") declare function flush(list: ArrayBuffer): void;
@external("env", "__log") declare function log(text: ArrayBuffer): void;

const HEIGHT = sizeof<u32>();

const seen = new Map<u32, u32>();
let blocks: u32 = 0;

export function _start(): void {
  const input = new ArrayBuffer(host_len());
  load_input(input);
  if (<usize>input.byteLength < HEIGHT) throw new Error("the input is too short to hold a height");
  const height = load<u32>(changetype<usize>(input));
  const payload = <u32>input.byteLength - <u32>HEIGHT;

  blocks += 1;
  seen.set(height, 1 + (seen.has(height) ? seen.get(height) : 0));
  const heights = seen.keys();
  const record: u32[] = [blocks, heights.length];
  for (let i = 0; i < heights.length; i++) {
    record.push(heights[i]);
    record.push(seen.get(heights[i]));
  }

  const totalKey = String.UTF8.encode("/total");
  const total = new ArrayBuffer(get_len(totalKey));
  get(totalKey, total);
  const before: u32 = total.byteLength == sizeof<u32>() ? load<u32>(changetype<usize>(total)) : 0;

  log(String.UTF8.encode("block " + height.toString()));
  const list: u8[] = [];
  push(list, String.UTF8.encode("/seen/" + height.toString()));
  push(list, words(record));
  push(list, totalKey);
  push(list, words([before + payload]));
  flush(bytes(list));
}

// Appends one element of the flushed list: the tag of field 1, the length as a varint, the bytes.
function push(list: u8[], element: ArrayBuffer): void {
  list.push(0x0a);
  let rest = element.byteLength;
  for (; rest >= 0x80; rest >>= 7) list.push(<u8>(rest | 0x80));
  list.push(<u8>rest);
  const view = Uint8Array.wrap(element);
  for (let i = 0; i < view.length; i++) list.push(view[i]);
}

function words(numbers: u32[]): ArrayBuffer {
  const buffer = new ArrayBuffer(numbers.length * sizeof<u32>());
  const view = Uint32Array.wrap(buffer);
  for (let i = 0; i < numbers.length; i++) view[i] = numbers[i];
  return buffer;
}

function bytes(list: u8[]): ArrayBuffer {
  const buffer = new ArrayBuffer(list.length);
  const view = Uint8Array.wrap(buffer);
  for (let i = 0; i < list.length; i++) view[i] = list[i];
  return buffer;
}
