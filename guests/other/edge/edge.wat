;; foreign/edge: looks at what lies beyond its memory.
;;
;; A block of odd height reads the first byte beyond its memory, which has to trap. A block of even height grows
;; the memory by two pages, adds up what it finds in them, which has to be nothing, and leaves them full.
;;
;;   "/edge/" and the height  ->  the memory's size in wasm pages, before growing, and the sum of the words in the
;;                                pages that it has grown by
;;
;; In a fresh instance: 1, 0. All numbers are little-endian u32.
(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__flush" (func $flush (param i32)))

  (memory (export "memory") 1)

  ;; The flush, but for the numbers: at 16 its length, then the list, with the height at 28 and the value at
  ;; 34.
  (data (i32.const 16) "\16\00\00\00" "\0a\0a/edge/____" "\0a\08________")

  (func (export "_start")
    (local $at i32)
    (local $sum i32)
    (i32.store (i32.const 28) (call $height))
    (i32.store (i32.const 34) (memory.size))
    (local.set $at (i32.mul (memory.size) (i32.const 65536)))

    (if (i32.and (i32.load (i32.const 28)) (i32.const 1))
      (then (drop (i32.load8_u (local.get $at)))))

    (if (i32.eq (memory.grow (i32.const 2)) (i32.const -1)) (then (unreachable)))
    (loop $each
      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
      (i32.store (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $each (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
    (i32.store (i32.const 38) (local.get $sum))

    (call $flush (i32.const 20)))

  ;; The input goes to 1024, with its length before it; what doesn't fit behind traps.
  (func $height (result i32)
    (local $length i32)
    (local.set $length (call $host_len))
    (if (i32.gt_u (i32.sub (local.get $length) (i32.const 4)) (i32.const 32768)) (then (unreachable)))
    (i32.store (i32.const 1020) (local.get $length))
    (call $load_input (i32.const 1024))
    (i32.load (i32.const 1024))))
