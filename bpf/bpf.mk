# The tracer: programs for the kernel, embedded into mpbench-bpf. `make BPF=0` builds mpbench without.
BPF ?= 1
CLANG ?= clang
BPFTOOL ?= $(or $(shell command -v bpftool 2>/dev/null),/usr/sbin/bpftool)
BPF_ARCH := $(patsubst aarch64%,arm64,$(patsubst x86_64%,x86,$(shell $(CC) -dumpmachine | cut -d- -f1)))
# where asm/types.h lives; the programs use no other header of the machine
BPF_INCLUDE := -I/usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)
BPF_SRC := bpf/mpbench-bpf.c bpf/privilege.c bpf/rows.c bpf/tracer.c
BPF_OBJ := $(BPF_SRC:%.c=$(BUILD)/obj/%.o)

ifeq ($(BPF),1)
all: $(BUILD)/mpbench-bpf
else
.PHONY: no-bpf
all: no-bpf
no-bpf:
	@echo "BPF=0: mpbench is built without system call tracing (mpbench-bpf)"
endif

$(BUILD)/gen/syscalls.bpf.o: bpf/syscalls.bpf.c bpf/syscalls.h
	@mkdir -p $(@D)
	$(CLANG) -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Wno-unused-parameter \
		-ffile-prefix-map=$(CURDIR)=. $(BPF_INCLUDE) -c -o $(@:.o=.tmp.o) $<
	$(BPFTOOL) gen object $@ $(@:.o=.tmp.o)
	@rm -f $(@:.o=.tmp.o)

$(BUILD)/gen/syscalls.skel.h: $(BUILD)/gen/syscalls.bpf.o
	$(BPFTOOL) gen skeleton $< name syscalls_bpf >$@.tmp
	@mv $@.tmp $@

# the generated header is none of ours to lint
$(BUILD)/obj/bpf/tracer.o: $(BUILD)/gen/syscalls.skel.h
$(BUILD)/obj/bpf/%.o: bpf/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -isystem $(BUILD)/gen -MMD -MP -c -o $@ $<

$(BUILD)/mpbench-bpf: $(BPF_OBJ)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(BPF_OBJ) -lbpf -lelf -lz

-include $(BPF_OBJ:.o=.d)

# the one unit test of this folder; it needs neither clang nor libbpf
$(BUILD)/unit/test-rows: tests/unit/test-rows.c $(BUILD)/obj/bpf/rows.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -o $@ $< $(BUILD)/obj/bpf/rows.o -lcmocka
