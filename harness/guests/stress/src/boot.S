/*
 * From PVH's 32-bit entry to C in 64-bit mode: page tables, descriptors, the way into ring 3 and the traps back out.
 * Knows nothing of what the guest does.
 *
 * The guest's work runs in ring 3 on purpose: a hypervisor that emulates its guests' kernel mode instruction by
 * instruction (KVM-PVM) still runs user mode on the processor. Writing one word to each page of a working set took
 * 9400 cycles a page in ring 0 and 22 in ring 3 there (2-core AMD EPYC, 2026-11-22, 16384 pages, one run each).
 */
#include "stress.h"

#define PRESENT_WRITABLE_USER_ACCESSED_DIRTY 0x67 /* accessed and dirty are set ahead: the processor never writes here */
#define LARGE 0x80
#define EFER 0xc0000080
#define EFER_LONG_MODE 0x100
#define CR4_PAE 0x20
#define CR0_PAGING 0x80000000

        .section .note.pvh, "a", @note
        .balign 4
        .long 4, 8, 18                  /* name bytes, descriptor bytes, XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .quad boot

        .section .text.boot, "ax"
        .code32
        .globl boot
boot:
        cld
        mov %ebx, %ebp                  /* struct hvm_start_info */
        movl $page_directory_pointers + PRESENT_WRITABLE_USER_ACCESSED_DIRTY, page_map
        .set gib, 0
        .rept 4                         /* the first 4 GiB for now; C maps what else it needs */
        movl $page_directories + 4096 * gib + PRESENT_WRITABLE_USER_ACCESSED_DIRTY, page_directory_pointers + 8 * gib
        .set gib, gib + 1
        .endr
        mov $page_directories, %edi
        mov $PRESENT_WRITABLE_USER_ACCESSED_DIRTY + LARGE, %eax
        mov $4 * 512, %ecx
1:      mov %eax, (%edi)
        add $8, %edi
        add $0x200000, %eax
        loop 1b

        mov $CR4_PAE, %eax
        mov %eax, %cr4
        mov $page_map, %eax
        mov %eax, %cr3
        mov $EFER, %ecx
        rdmsr
        or $EFER_LONG_MODE, %eax
        wrmsr
        mov %cr0, %eax
        or $CR0_PAGING, %eax
        mov %eax, %cr0
        lgdt descriptor_pointer
        ljmp $KERNEL_CODE, $long_mode

        .code64
long_mode:
        mov $KERNEL_DATA, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $kernel_stack_top, %rsp
        call machine_start
        mov %ebp, %edi
        push $USER_DATA | 3
        push $user_stack_top
        push $0x202                     /* interrupts on */
        push $USER_CODE | 3
        push $stress_main
        iretq

/* A tick interrupts ring 3, or ring 0 while it halts. */
        .globl tick_entry
tick_entry:
        push %rax
        push %rcx
        push %rdx
        push %rsi
        push %rdi
        push %r8
        push %r9
        push %r10
        push %r11
        call machine_tick
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        pop %rdi
        pop %rsi
        pop %rdx
        pop %rcx
        pop %rax
        iretq

/* Ring 3 asks for a service by an invalid instruction, whose exception every hypervisor delivers: KVM's emulator lacks
 * `int` from ring 3, and KVM-PVM let `syscall` arrive without the right to use ports. C's calling convention saves
 * what the service changes. */
        .globl service
service:
        ud2
        ret

        .globl service_entry
service_entry:
        cmpq $service, (%rsp)
        jne fault_invalid_instruction
        addq $2, (%rsp)                 /* past ud2 */
        call machine_service
        iretq

        .globl spurious_entry
spurious_entry:
        iretq

/* One stub of 8 bytes for each of the processor's 32 exceptions; none of them comes back. */
        .balign 8
        .globl fault_entries
fault_entries:
        vector = 0
        .rept 32
        .balign 8
        push $vector
        jmp fault
        vector = vector + 1
        .endr
fault_invalid_instruction:
        push $6
fault:
        pop %rdi
        mov %rsp, %rsi
        call machine_fault

        .data
        .balign 8
        .globl descriptors
descriptors:
        .quad 0
        .quad 0x00af9b000000ffff        /* KERNEL_CODE */
        .quad 0x00cf93000000ffff        /* KERNEL_DATA */
        .quad 0x00affb000000ffff        /* USER_CODE */
        .quad 0x00cff3000000ffff        /* USER_DATA */
        .quad 0, 0                      /* TASK, filled in by machine_start */
descriptor_pointer:
        .word . - descriptors - 1
        .long descriptors, 0

        .bss
        .balign 4096
page_map:
        .skip 4096
        .globl page_directory_pointers
page_directory_pointers:
        .skip 4096
        .globl page_directories
page_directories:
        .skip 4096 * MAPPED_GIB
kernel_stack:
        .skip 8192
        .globl kernel_stack_top
kernel_stack_top:
user_stack:
        .skip 8192
user_stack_top:

        .section .note.GNU-stack, "", @progbits
