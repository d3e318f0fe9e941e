// foreign/c: a list of the blocks it has seen, and a running checksum of their bytes.
//
// No C library, and memory that is only ever taken, never given back. All state is static. The list grows by
// one with each block that the instance has seen, and the checksum starts from a constant in a data segment,
// so a reset that forgets the segment shows as much as one that forgets the list.
//
//   "/c/" and the height  ->  blocks seen, checksum, then height and length of each block, the latest first
//
// All numbers are little-endian uint32_t.

#include <stddef.h>
#include <stdint.h>

#define HOST(name) __attribute__((import_module("env"), import_name(#name))) name
#define EXPORT(name) __attribute__((export_name(#name))) name

int32_t HOST(__host_len)(void);
void HOST(__load_input)(uint8_t *buffer);
void HOST(__flush)(const uint8_t *list);

enum { HEIGHT = sizeof(uint32_t), WASM_PAGE = 65536 };

struct block {
    uint32_t height, length;
    const struct block *before;
};

extern uint8_t __heap_base;

static uint8_t *unused = &__heap_base;
static const struct block *latest;
static uint32_t blocks;
static uint32_t checksum = 2166136261u;

static void *allocate(size_t size) {
    uint8_t *memory = unused;
    unused += (size + 7) & ~(size_t)7;
    size_t end = (size_t)unused, available = __builtin_wasm_memory_size(0) * WASM_PAGE;
    if (end > available) {
        size_t pages = (end - available + WASM_PAGE - 1) / WASM_PAGE;
        if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) __builtin_trap();
    }
    return memory;
}

// Room for `length` bytes with their length before them, where the host looks for it.
static uint8_t *arraybuffer(uint32_t length) {
    uint32_t *header = allocate(sizeof *header + length);
    *header = length;
    return (uint8_t *)(header + 1);
}

static uint8_t *put_word(uint8_t *to, uint32_t word) {
    for (int byte = 0; byte < 4; byte++) *to++ = (uint8_t)(word >> 8 * byte);
    return to;
}

static uint8_t *put_varint(uint8_t *to, uint32_t number) {
    for (; number >= 0x80; number >>= 7) *to++ = (uint8_t)(number | 0x80);
    *to++ = (uint8_t)number;
    return to;
}

void EXPORT(_start)(void) {
    uint32_t length = (uint32_t)__host_len();
    if (length < HEIGHT) __builtin_trap();
    uint8_t *input = arraybuffer(length);
    __load_input(input);

    struct block *block = allocate(sizeof *block);
    *block = (struct block){*(uint32_t *)input, length - HEIGHT, latest};
    latest = block;
    blocks++;
    for (uint32_t i = HEIGHT; i < length; i++) checksum = (checksum ^ input[i]) * 16777619u;  // FNV-1a

    // Two elements, each with a tag and at most five bytes of length.
    uint32_t value = 8 + 8 * blocks;
    uint8_t *list = arraybuffer(2 * 6 + 7 + value), *to = list;
    *to++ = 0x0a;
    to = put_varint(to, 7);
    *to++ = '/', *to++ = 'c', *to++ = '/';
    to = put_word(to, block->height);
    *to++ = 0x0a;
    to = put_varint(to, value);
    to = put_word(put_word(to, blocks), checksum);
    for (const struct block *b = latest; b; b = b->before) to = put_word(put_word(to, b->height), b->length);
    ((uint32_t *)list)[-1] = (uint32_t)(to - list);
    __flush(list);
}
