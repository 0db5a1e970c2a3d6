// Variables of threads: a descriptor has a function that finds them, a key and an offset in the thread's block.
#include <cstdlib>
#include <cstring>

#include "played.h"

extern "C" {
__attribute__((tls_model("initial-exec"), visibility("hidden"))) thread_local char* evenkeel_thread_block = nullptr;
__attribute__((visibility("hidden"))) char* evenkeel_make_thread_block();
int __cxa_thread_atexit_impl(void (*)(void*), void*, void*);
extern void* __dso_handle;
}

// Nothing but the result may be changed.
#if defined(__x86_64__)
asm(R"(
.text
.hidden evenkeel_thread_variable
.globl evenkeel_thread_variable
evenkeel_thread_variable:
  movq evenkeel_thread_block@gottpoff(%rip), %rax
  movq %fs:(%rax), %rax
  testq %rax, %rax
  je 1f
  addq 16(%rdi), %rax
  ret
1:
  pushq %rbp
  movq %rsp, %rbp
  pushq %rdi; pushq %rsi; pushq %rdx; pushq %rcx; pushq %r8; pushq %r9; pushq %r10; pushq %r11
  andq $-16, %rsp
  call evenkeel_make_thread_block
  leaq -64(%rbp), %rsp
  popq %r11; popq %r10; popq %r9; popq %r8; popq %rcx; popq %rdx; popq %rsi; popq %rdi
  popq %rbp
  addq 16(%rdi), %rax
  ret
)");
#elif defined(__aarch64__)
asm(R"(
.text
.hidden evenkeel_thread_variable
.globl evenkeel_thread_variable
evenkeel_thread_variable:
  stp x29, x30, [sp, #-16]!
  mov x29, sp
  mrs x16, tpidr_el0
  adrp x17, :gottprel:evenkeel_thread_block
  ldr x17, [x17, :gottprel_lo12:evenkeel_thread_block]
  ldr x16, [x16, x17]
  cbnz x16, 1f
  stp x0, x1, [sp, #-16]!
  stp x2, x3, [sp, #-16]!
  stp x4, x5, [sp, #-16]!
  stp x6, x7, [sp, #-16]!
  stp x8, x9, [sp, #-16]!
  stp x10, x11, [sp, #-16]!
  stp x12, x13, [sp, #-16]!
  stp x14, x15, [sp, #-16]!
  stp q0, q1, [sp, #-32]!
  stp q2, q3, [sp, #-32]!
  stp q4, q5, [sp, #-32]!
  stp q6, q7, [sp, #-32]!
  stp q8, q9, [sp, #-32]!
  stp q10, q11, [sp, #-32]!
  stp q12, q13, [sp, #-32]!
  stp q14, q15, [sp, #-32]!
  stp q16, q17, [sp, #-32]!
  stp q18, q19, [sp, #-32]!
  stp q20, q21, [sp, #-32]!
  stp q22, q23, [sp, #-32]!
  stp q24, q25, [sp, #-32]!
  stp q26, q27, [sp, #-32]!
  stp q28, q29, [sp, #-32]!
  stp q30, q31, [sp, #-32]!
  bl evenkeel_make_thread_block
  mov x16, x0
  ldp q30, q31, [sp], #32
  ldp q28, q29, [sp], #32
  ldp q26, q27, [sp], #32
  ldp q24, q25, [sp], #32
  ldp q22, q23, [sp], #32
  ldp q20, q21, [sp], #32
  ldp q18, q19, [sp], #32
  ldp q16, q17, [sp], #32
  ldp q14, q15, [sp], #32
  ldp q12, q13, [sp], #32
  ldp q10, q11, [sp], #32
  ldp q8, q9, [sp], #32
  ldp q6, q7, [sp], #32
  ldp q4, q5, [sp], #32
  ldp q2, q3, [sp], #32
  ldp q0, q1, [sp], #32
  ldp x14, x15, [sp], #16
  ldp x12, x13, [sp], #16
  ldp x10, x11, [sp], #16
  ldp x8, x9, [sp], #16
  ldp x6, x7, [sp], #16
  ldp x4, x5, [sp], #16
  ldp x2, x3, [sp], #16
  ldp x0, x1, [sp], #16
1:
  ldr x17, [x0, #16]
  add x0, x16, x17
  ldp x29, x30, [sp], #16
  ret
)");
#endif

namespace played {
namespace {

const char* first_values = nullptr;
size_t first_size = 0;
size_t block_size = 0;

}  // namespace

void set_thread_variables(const char* values, size_t size, size_t size_with_zeros) {
  first_values = values;
  first_size = size;
  block_size = size_with_zeros;
}

void at_thread_exit(void (*function)(void*), void* object) { __cxa_thread_atexit_impl(function, object, &__dso_handle); }

}  // namespace played

// Kept to the end of the process.
extern "C" char* evenkeel_make_thread_block() {
  auto* block = static_cast<char*>(aligned_alloc(64, (played::block_size + 63) / 64 * 64));
  memset(block, 0, played::block_size);
  memcpy(block, played::first_values, played::first_size);
  evenkeel_thread_block = block;
  return block;
}
