;; foreign/passive: uses a passive data segment and a passive element segment, and drops both.
;;
;; Copying from a segment that has been dropped traps, so an instance whose memory, globals and tables are
;; reset but whose segments are not fails its second block.
;;
;;   "/passive/" and the height  ->  the word that the data segment goes to, before and after,
;;                                   whether the table was empty, what calling its function gives
;;
;; In a fresh instance: 0, 0x2a, 1, 49. All numbers are little-endian u32.
(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__flush" (func $flush (param i32)))

  (type $operation (func (param i32) (result i32)))

  (memory (export "memory") 1)
  (table $operations 1 funcref)
  (data $word "\2a\00\00\00")
  (elem $square func $square)

  ;; The flush, but for the numbers: at 16 its length, then the list, with the height at 31 and the value at
  ;; 37.
  (data (i32.const 16) "\21\00\00\00" "\0a\0d/passive/____" "\0a\10________________")

  (func $square (type $operation) (i32.mul (local.get 0) (local.get 0)))

  (func (export "_start")
    (i32.store (i32.const 31) (call $height))

    (i32.store (i32.const 37) (i32.load (i32.const 64)))
    (memory.init $word (i32.const 64) (i32.const 0) (i32.const 4))
    (data.drop $word)
    (i32.store (i32.const 41) (i32.load (i32.const 64)))

    (i32.store (i32.const 45) (ref.is_null (table.get $operations (i32.const 0))))
    (table.init $operations $square (i32.const 0) (i32.const 0) (i32.const 1))
    (elem.drop $square)
    (i32.store (i32.const 49) (call_indirect $operations (type $operation) (i32.const 7) (i32.const 0)))

    (call $flush (i32.const 20)))

  ;; The input goes to 1024, with its length before it; what doesn't fit behind traps.
  (func $height (result i32)
    (local $length i32)
    (local.set $length (call $host_len))
    (if (i32.gt_u (i32.sub (local.get $length) (i32.const 4)) (i32.const 32768)) (then (unreachable)))
    (i32.store (i32.const 1020) (local.get $length))
    (call $load_input (i32.const 1024))
    (i32.load (i32.const 1024))))
