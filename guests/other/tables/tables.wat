;; foreign/tables: keeps its state in tables and nowhere else.
;;
;; Every block reads the tables first and writes to them afterwards, so each number that it flushes is what
;; the block before has left, or, in a fresh instance, the module's own. One table is exported, the others are
;; hidden.
;;
;;   "/tables/" and the height  ->  what calling the first operation gives, the size of the table that grows,
;;                                  functions in the table that is filled, the size of the table of
;;                                  host references
;;
;; In a fresh instance: 14, 1, 0, 2. All numbers are little-endian u32.
(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__flush" (func $flush (param i32)))

  (type $operation (func (param i32) (result i32)))

  (memory (export "memory") 1)
  (table $operations 2 funcref)
  (table $growing 1 funcref)
  (table $filled (export "filled") 4 funcref)
  (table $references 2 externref)
  (elem (table $operations) (i32.const 0) func $double $square)

  ;; The flush, but for the numbers: at 16 its length, then the list, with the height at 30 and the value at
  ;; 36.
  (data (i32.const 16) "\20\00\00\00" "\0a\0c/tables/____" "\0a\10________________")

  (func $double (type $operation) (i32.shl (local.get 0) (i32.const 1)))
  (func $square (type $operation) (i32.mul (local.get 0) (local.get 0)))

  (func (export "_start")
    (i32.store (i32.const 30) (call $height))

    ;; Calls the first operation, then puts the second in its place.
    (i32.store (i32.const 36) (call_indirect $operations (type $operation) (i32.const 7) (i32.const 0)))
    (table.set $operations (i32.const 0) (table.get $operations (i32.const 1)))

    (i32.store (i32.const 40) (table.grow $growing (ref.func $square) (i32.const 1)))

    (i32.store (i32.const 44) (call $functions))
    (table.fill $filled (i32.const 1) (ref.func $double) (i32.const 3))

    (i32.store (i32.const 48) (table.grow $references (ref.null extern) (i32.const 1)))

    (call $flush (i32.const 20)))

  ;; How many functions there are in the table that is filled.
  (func $functions (result i32)
    (local $i i32)
    (local $count i32)
    (loop $each
      (if (i32.eqz (ref.is_null (table.get $filled (local.get $i))))
        (then (local.set $count (i32.add (local.get $count) (i32.const 1)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $i) (table.size $filled))))
    (local.get $count))

  ;; The input goes to 1024, with its length before it; what doesn't fit behind traps.
  (func $height (result i32)
    (local $length i32)
    (local.set $length (call $host_len))
    (if (i32.gt_u (i32.sub (local.get $length) (i32.const 4)) (i32.const 32768)) (then (unreachable)))
    (i32.store (i32.const 1020) (local.get $length))
    (call $load_input (i32.const 1024))
    (i32.load (i32.const 1024))))
