;; foreign/growth: grows by what its input says, and writes zeros over what its image holds.
;;
;; A block grows the memory by one page, and where a word follows the height, by that many more for each of the
;; height's last two bits. It adds up what it finds in the pages that it has grown by, which has to be nothing, and
;; leaves a mark in each OS page of 4 KiB. Far apart in the memory lie four words of the image, each alone in its
;; page: the block adds them up and writes zeros there, so that these pages hold nothing but zeros afterwards.
;;
;;   "/growth/" and the height  ->  the sum of the words of the image, the memory's size in wasm pages, before
;;                                  growing, and the sum of the words in the pages that it has grown by
;;
;; In a fresh instance: 4000, 80, 0. All numbers are little-endian u32.
(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__flush" (func $flush (param i32)))

  ;; Five MiB: at least one whole huge page of 2 MiB, and two of the words within it.
  (memory (export "memory") 80)
  (data (i32.const 0x100000) "\e8\03\00\00")
  (data (i32.const 0x200000) "\e8\03\00\00")
  (data (i32.const 0x300000) "\e8\03\00\00")
  (data (i32.const 0x400000) "\e8\03\00\00")

  ;; The flush, but for the numbers: at 16 its length, then the list, with the height at 30 and the value at
  ;; 36.
  (data (i32.const 16) "\1c\00\00\00" "\0a\0c/growth/____" "\0a\0c____________")

  (func (export "_start")
    (local $at i32)
    (local $sum i32)
    (i32.store (i32.const 30) (call $height))

    (local.set $at (i32.const 0x100000))
    (loop $each
      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
      (i32.store (local.get $at) (i32.const 0))
      (local.set $at (i32.add (local.get $at) (i32.const 0x100000)))
      (br_if $each (i32.lt_u (local.get $at) (i32.const 0x500000))))
    (i32.store (i32.const 36) (local.get $sum))

    (i32.store (i32.const 40) (memory.size))
    (local.set $at (i32.mul (memory.size) (i32.const 65536)))
    (local.set $sum (i32.const 0))
    (if (i32.eq (memory.grow (call $pages)) (i32.const -1)) (then (unreachable)))
    (loop $each
      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
      (i32.store (local.get $at) (i32.const 7))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $each (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
    (i32.store (i32.const 44) (local.get $sum))

    (call $flush (i32.const 20)))

  ;; How many pages to grow by.
  (func $pages (result i32)
    (if (i32.lt_u (i32.load (i32.const 1020)) (i32.const 8)) (then (return (i32.const 1))))
    (i32.add
      (i32.const 1)
      (i32.mul (i32.load (i32.const 1028)) (i32.and (i32.load (i32.const 1024)) (i32.const 3)))))

  ;; The input goes to 1024, with its length before it; what doesn't fit behind traps.
  (func $height (result i32)
    (local $length i32)
    (local.set $length (call $host_len))
    (if (i32.gt_u (i32.sub (local.get $length) (i32.const 4)) (i32.const 32768)) (then (unreachable)))
    (i32.store (i32.const 1020) (local.get $length))
    (call $load_input (i32.const 1024))
    (i32.load (i32.const 1024))))
