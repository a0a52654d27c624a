# mpbench. `make help` lists the targets.
SHELL := /bin/sh
CC ?= gcc
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || cat VERSION 2>/dev/null || echo unknown)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef \
	-Wwrite-strings -Wcast-qual -Wformat=2 -Wnull-dereference -Wconversion -Wno-sign-conversion \
	-Wimplicit-fallthrough -Wdouble-promotion -Wdate-time
GCC_WARN := -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init -Wformat-signedness -Warith-conversion
CLANG_WARN := -Wcomma -Wconditional-uninitialized -Wshorten-64-to-32 -Wmissing-variable-declarations -Wthread-safety
IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -c clang)
WARN += $(if $(filter 0,$(IS_CLANG)),$(GCC_WARN),$(CLANG_WARN))
OPTIM ?= -O2 -g
HARDEN ?= -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fPIE -fno-omit-frame-pointer
CFLAGS_ALL = -std=gnu17 -D_GNU_SOURCE -Isrc -I$(BUILD)/gen -ffile-prefix-map=$(CURDIR)=. $(WARN) $(OPTIM) $(HARDEN) $(CFLAGS)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS := -ljansson -lm -lpthread

SRC := $(sort $(wildcard src/*/*.c))
OBJ := $(SRC:%.c=$(BUILD)/obj/%.o)
CMD_SRC := $(sort $(wildcard cmd/*.c))
CMD_OBJ := $(CMD_SRC:%.c=$(BUILD)/obj/%.o)
LIB := $(BUILD)/libmpbench.a
UNIT_SRC := $(sort $(wildcard tests/unit/test-*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)

.PHONY: all unit clean FORCE
all: $(BUILD)/mpbench

# Changes only when the version does, so that a build does not recompile for nothing.
$(BUILD)/gen/version-gen.h: FORCE
	@mkdir -p $(@D)
	@printf '#define MPBENCH_VERSION "%s"\n' '$(VERSION)' >$@.new
	@cmp -s $@.new $@ && rm -f $@.new || mv $@.new $@

$(BUILD)/obj/src/base/version.o: $(BUILD)/gen/version-gen.h

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(LIB): $(OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/mpbench: $(CMD_OBJ) $(LIB)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(CMD_OBJ) $(LIB) $(LIBS)

$(BUILD)/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Itests -MMD -MP $(LDFLAGS_ALL) -o $@ $< $(LIB) -lcmocka $(LIBS)

# One cmocka program per noun; tests find their data relative to the checkout.
unit: $(UNIT_BIN)
	@for t in $(UNIT_BIN); do echo "== $$t"; $$t || exit 1; done

-include bpf/bpf.mk

clean:
	rm -rf $(BUILD)

-include $(OBJ:.o=.d) $(CMD_OBJ:.o=.d) $(UNIT_BIN:%=%.d)
