# The tracer: programs for the kernel, embedded into mpbench-bpf, the only part that ever holds a privilege.
CLANG ?= clang
BPFTOOL ?= $(or $(shell command -v bpftool 2>/dev/null),/usr/sbin/bpftool)
BPF_ARCH := $(patsubst aarch64%,arm64,$(patsubst x86_64%,x86,$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))))
# where asm/types.h lives; the programs use no other header of the machine
BPF_INCLUDE := -I/usr/include/$(shell gcc -print-multiarch 2>/dev/null)
BPF_SRC := bpf/mpbench-bpf.c bpf/privilege.c bpf/rows.c bpf/tracer.c
BPF_OBJ := $(BPF_SRC:%.c=$(BUILD)/obj/%.o)
BPF_GEN := $(BUILD)/gen-bpf
BPF_GROUP ?= mpbench

all: $(BUILD)/mpbench-bpf
LINT_SRC += $(BPF_SRC)

$(BPF_GEN)/syscalls.bpf.o: bpf/syscalls.bpf.c bpf/syscalls.h
	$(say) BPF $<
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Wno-unused-parameter -Werror \
		-ffile-prefix-map=$(CURDIR)=. $(BPF_INCLUDE) -c -o $(@:.o=.tmp.o) $<
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.tmp.o)
	@rm -f $(@:.o=.tmp.o)

$(BPF_GEN)/syscalls.skel.h: $(BPF_GEN)/syscalls.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name syscalls_bpf >$@.new
	@mv $@.new $@

# the generated header is none of ours to check
$(BPF_OBJ): EXTRA_CFLAGS = -isystem $(BPF_GEN)
$(BPF_SRC:%=$(BUILD)/lint/analyze/%.ok) $(BPF_SRC:%=$(BUILD)/lint/tidy/%.ok): LINT_CFLAGS = -isystem $(BPF_GEN)
$(BUILD)/obj/bpf/tracer.o $(BUILD)/lint/analyze/bpf/tracer.c.ok $(BUILD)/lint/tidy/bpf/tracer.c.ok: \
	$(BPF_GEN)/syscalls.skel.h

$(BUILD)/mpbench-bpf: $(BPF_OBJ)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(BPF_OBJ) -lbpf -lelf -lz

-include $(BPF_OBJ:.o=.d)

# Only root can give it its owner and group; capabilities are the administrator's to give (see mpbench-trace-syscalls(1)).
install-bpf: $(BUILD)/mpbench-bpf
	install -d $(DESTDIR)$(LIBEXECDIR)
	install -m 0750 $(BUILD)/mpbench-bpf $(DESTDIR)$(LIBEXECDIR)/mpbench-bpf
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then \
		getent group $(BPF_GROUP) >/dev/null || groupadd --system $(BPF_GROUP); \
		chgrp $(BPF_GROUP) $(LIBEXECDIR)/mpbench-bpf; \
		echo "members of group $(BPF_GROUP) may count system calls after:" \
			"setcap cap_bpf,cap_perfmon+ep $(LIBEXECDIR)/mpbench-bpf"; \
	fi

uninstall-bpf:
	rm -f $(DESTDIR)$(LIBEXECDIR)/mpbench-bpf
