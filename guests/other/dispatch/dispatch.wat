;; foreign/dispatch: changes what a hidden table calls, and never its size.
;;
;; Every block calls through the table first and exchanges entries afterwards, so that the next block calls other
;; functions if the table was left as it was. Unlike in foreign/tables, all of it can be brought back from outside.
;;
;;   "/dispatch/" and the height  ->  what calling the first operation gives, what calling the second gives,
;;                                    whether the third is missing
;;
;; In a fresh instance: 14, 49, 1. All numbers are little-endian u32.
(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__flush" (func $flush (param i32)))

  (type $operation (func (param i32) (result i32)))

  (memory (export "memory") 1)
  (table $operations 3 funcref)
  (elem (table $operations) (i32.const 0) func $double $square)

  ;; The flush, but for the numbers: at 16 its length, then the list, with the height at 32 and the value at
  ;; 38.
  (data (i32.const 16) "\1e\00\00\00" "\0a\0e/dispatch/____" "\0a\0c____________")

  (func $double (type $operation) (i32.shl (local.get 0) (i32.const 1)))
  (func $square (type $operation) (i32.mul (local.get 0) (local.get 0)))

  (func (export "_start")
    (i32.store (i32.const 32) (call $height))

    (i32.store (i32.const 38) (call_indirect $operations (type $operation) (i32.const 7) (i32.const 0)))
    (i32.store (i32.const 42) (call_indirect $operations (type $operation) (i32.const 7) (i32.const 1)))
    (i32.store (i32.const 46) (ref.is_null (table.get $operations (i32.const 2))))

    (table.set $operations (i32.const 2) (table.get $operations (i32.const 0)))
    (table.set $operations (i32.const 0) (table.get $operations (i32.const 1)))
    (table.set $operations (i32.const 1) (table.get $operations (i32.const 2)))

    (call $flush (i32.const 20)))

  ;; The input goes to 1024, with its length before it; what doesn't fit behind traps.
  (func $height (result i32)
    (local $length i32)
    (local.set $length (call $host_len))
    (if (i32.gt_u (i32.sub (local.get $length) (i32.const 4)) (i32.const 32768)) (then (unreachable)))
    (i32.store (i32.const 1020) (local.get $length))
    (call $load_input (i32.const 1024))
    (i32.load (i32.const 1024))))
