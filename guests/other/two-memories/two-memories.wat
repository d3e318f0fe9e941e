;; foreign/two-memories: writes to two memories, and exports only one.
;;
;; Each has a word that counts blocks, and the hidden one grows. Whoever resets "the memory" resets half of
;; the state.
;;
;;   "/memories/" and the height  ->  the count in the exported memory and in the hidden one, both before
;;                                    counting, and the hidden memory's size in wasm pages, before growing
;;
;; In a fresh instance: 1000, 2000, 1. All numbers are little-endian u32.
(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__flush" (func $flush (param i32)))

  (memory $shown (export "memory") 1)
  (memory $hidden 1)
  (data (memory $shown) (i32.const 64) "\e8\03\00\00")
  (data (memory $hidden) (i32.const 64) "\d0\07\00\00")

  ;; The flush, but for the numbers: at 16 its length, then the list, with the height at 32 and the value at
  ;; 38.
  (data (memory $shown) (i32.const 16) "\1e\00\00\00" "\0a\0e/memories/____" "\0a\0c____________")

  (func (export "_start")
    (i32.store $shown (i32.const 32) (call $height))

    (i32.store $shown (i32.const 38) (i32.load $shown (i32.const 64)))
    (i32.store $shown (i32.const 64) (i32.add (i32.load $shown (i32.const 64)) (i32.const 1)))

    (memory.copy $shown $hidden (i32.const 42) (i32.const 64) (i32.const 4))
    (i32.store $hidden (i32.const 64) (i32.add (i32.load $hidden (i32.const 64)) (i32.const 1)))

    (i32.store $shown (i32.const 46) (memory.grow $hidden (i32.const 1)))

    (call $flush (i32.const 20)))

  ;; The input goes to 1024, with its length before it; what doesn't fit behind traps.
  (func $height (result i32)
    (local $length i32)
    (local.set $length (call $host_len))
    (if (i32.gt_u (i32.sub (local.get $length) (i32.const 4)) (i32.const 32768)) (then (unreachable)))
    (i32.store $shown (i32.const 1020) (local.get $length))
    (call $load_input (i32.const 1024))
    (i32.load $shown (i32.const 1024))))
