# mpbench. `make help` lists the targets. Everything that is made lands under build/.
#
#   BUILD=DIR  CC=gcc|clang  CFLAGS=  LDFLAGS=  OPTIM='-O2 -g'  WERROR=1  V=1 (show commands)
#   CONFIG=asan|tsan    a sanitizer build with clang in a directory of its own
#   BPF=0|1             leave out or build mpbench-bpf (default: 1 where clang, bpftool and libbpf are there)
#   PREFIX DESTDIR MANDIR BASHCOMPDIR ZSHCOMPDIR FISHCOMPDIR LIBEXECDIR   for install
SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# --- what is built, and how ------------------------------------------------------------------------------------
CONFIG ?= default
ifeq ($(CONFIG),default)
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
OPTIM ?= -O2 -g
HARDEN ?= -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
else ifeq ($(CONFIG),asan)
# fuzzer-no-link adds the coverage counters, so that one build serves the tests and the fuzz targets.
CC := clang
BUILD := build/asan
OPTIM := -O1 -g
SANITIZE := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
WERROR := 1
else ifeq ($(CONFIG),tsan)
CC := clang
BUILD := build/tsan
OPTIM := -O1 -g
SANITIZE := -fsanitize=thread
WERROR := 1
else
$(error CONFIG is default, asan or tsan)
endif

PREFIX ?= /usr/local
DESTDIR ?=
MANDIR ?= $(PREFIX)/share/man
LIBEXECDIR ?= $(PREFIX)/libexec/mpbench
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
# The release that is being worked towards; used where git cannot say more.
VERSION_BASE := 0.1.0

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef \
	-Wwrite-strings -Wcast-qual -Wformat=2 -Wnull-dereference -Wconversion -Wno-sign-conversion \
	-Wimplicit-fallthrough -Wdate-time
GCC_WARN := -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init -Wformat-signedness -Warith-conversion \
	-Wdouble-promotion # clang objects to INFINITY and NAN
CLANG_WARN := -Wcomma -Wconditional-uninitialized -Wshorten-64-to-32 -Wmissing-variable-declarations -Wthread-safety
IS_CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null))
WARN += $(if $(IS_CLANG),$(CLANG_WARN),$(GCC_WARN))
CPPFLAGS_ALL = -std=gnu17 -D_GNU_SOURCE -Isrc -I. -I$(BUILD)/gen
CFLAGS_ALL = $(CPPFLAGS_ALL) -ffile-prefix-map=$(CURDIR)=. -fPIE -fno-omit-frame-pointer $(WARN) $(OPTIM) $(HARDEN) \
	$(SANITIZE) $(CFLAGS)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANITIZE) $(LDFLAGS)
ERROR_FLAG = $(if $(filter 1,$(WERROR)),-Werror)

SRC := $(sort $(wildcard src/*/*.c))
CMD_SRC := $(sort $(wildcard cmd/*.c))
UNIT_SRC := $(sort $(wildcard tests/unit/test-*.c))
UNIT_HELP_SRC := $(sort $(wildcard tests/support/*.c))
TOOL_SRC := $(sort $(wildcard tests/tools/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz-*.c))
HEADERS := $(sort $(wildcard src/*/*.h cmd/*.h bpf/*.h))
SCRIPTS := $(sort .ci/run $(wildcard tests/*.sh) tests/run)
# Checked by the analysers; bpf/rules.mk adds the program beside its own.
LINT_SRC := $(SRC) $(CMD_SRC)
FORMAT_SRC := $(sort $(SRC) $(CMD_SRC) $(HEADERS) $(wildcard bpf/*.c tests/*/*.[ch]))

OBJ := $(SRC:%.c=$(BUILD)/obj/%.o)
CMD_OBJ := $(CMD_SRC:%.c=$(BUILD)/obj/%.o)
UNIT_OBJ := $(UNIT_SRC:%.c=$(BUILD)/obj/%.o)
UNIT_HELP_OBJ := $(UNIT_HELP_SRC:%.c=$(BUILD)/obj/%.o)
TOOL_OBJ := $(TOOL_SRC:%.c=$(BUILD)/obj/%.o)
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(BUILD)/obj/%.o)
LIB := $(BUILD)/libmpbench.a
PROGRAM := $(if $(CMD_SRC),$(BUILD)/mpbench)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
TOOL_BIN := $(TOOL_SRC:tests/tools/%.c=$(BUILD)/tools/%)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)

# Libraries follow the sources: one is linked where a source includes its header.
INCLUDED := $(shell cat $(SRC) $(CMD_SRC) $(wildcard tests/*/*.[ch]) /dev/null | sed -n 's/^\# *include *<\([^>]*\)>.*/\1/p' | sort -u)
LIBS := $(if $(filter jansson.h,$(INCLUDED)),-ljansson) $(if $(filter curl/%,$(INCLUDED)),-lcurl) \
	$(if $(filter microhttpd.h,$(INCLUDED)),-lmicrohttpd) $(if $(filter zlib.h,$(INCLUDED)),-lz) \
	$(if $(filter openssl/%,$(INCLUDED)),-lssl -lcrypto) -lm -lpthread

.PHONY: all demo check deps unit cli asan tsan fuzz fuzz-short bench soak lint analyze tidy format-check format layers \
	headers shellcheck install uninstall man compdb help clean tests FORCE
all: $(LIB) $(PROGRAM)

# --- rules -----------------------------------------------------------------------------------------------------
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s%s\n'
endif

# $(call keep,FILE,TEXT): rewrites FILE only when the text is another one, so that what depends on it is made again then.
keep = mkdir -p $(dir $(1)) && printf '%s\n' $(2) >$(1).new && \
	{ cmp -s $(1).new $(1) && rm -f $(1).new || mv $(1).new $(1); }

$(BUILD)/flags: FORCE
	@$(call keep,$@,'$(CC) $(CFLAGS_ALL) | $(LDFLAGS_ALL) | $(LIBS)')

# The list of sources: a file that was removed leaves the archive.
$(BUILD)/sources: FORCE
	@$(call keep,$@,$(SRC) $(CMD_SRC))

# The version: the tag that git describes, else the base with the commit, else the base alone.
$(BUILD)/gen/version-gen.h: FORCE
	@v=$$(test -e .git && git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null | sed 's/^v//'); \
	if [ -z "$$v" ]; then \
		c=$$(test -e .git && git describe --always --exclude '*' --dirty 2>/dev/null); \
		v=$(VERSION_BASE)$${c:+-g$$c}; \
	fi; \
	$(call keep,$@,'/* version-gen - written by make */' '#pragma once' '' "#define MPBENCH_VERSION \"$$v\"")

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(BUILD)/gen/version-gen.h
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(EXTRA_CFLAGS) $(ERROR_FLAG) -MMD -MP -c -o $@ $<

$(UNIT_OBJ) $(UNIT_HELP_OBJ) $(TOOL_OBJ) $(FUZZ_OBJ): EXTRA_CFLAGS = -Itests

$(LIB): $(OBJ) $(BUILD)/sources
	$(say) AR $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $(OBJ)

$(BUILD)/mpbench: $(CMD_OBJ) $(LIB)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(CMD_OBJ) $(LIB) $(LIBS)

$(UNIT_BIN): $(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_HELP_OBJ) $(LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(UNIT_HELP_OBJ) $(LIB) -lcmocka $(LIBS)

# the arithmetic of mpbench-bpf needs neither clang nor libbpf
$(BUILD)/unit/test-rows: UNIT_HELP_OBJ += $(BUILD)/obj/bpf/rows.o
$(BUILD)/unit/test-rows: $(BUILD)/obj/bpf/rows.o

$(TOOL_BIN): $(BUILD)/tools/%: $(BUILD)/obj/tests/tools/%.o $(LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(LIB) $(LIBS)

$(FUZZ_BIN): $(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $< $(LIB) $(LIBS)

-include $(OBJ:.o=.d) $(CMD_OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(UNIT_HELP_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(FUZZ_OBJ:.o=.d)

# --- mpbench-bpf -------------------------------------------------------------------------------------------------
# bpf/rules.mk builds $(BUILD)/mpbench-bpf with the flags above. It may add prerequisites to all, install-bpf and
# uninstall-bpf, and its own sources to LINT_SRC.
BPF ?= $(if $(wildcard bpf/rules.mk),$(shell PATH=$$PATH:/usr/sbin; { command -v clang && command -v bpftool && \
	test -e /usr/include/bpf/bpf.h; } >/dev/null 2>&1 && echo 1 || echo 0),0)
.PHONY: install-bpf uninstall-bpf
install-bpf uninstall-bpf:
ifeq ($(BPF),1)
include bpf/rules.mk
endif

# --- install -----------------------------------------------------------------------------------------------------
include docs/man/rules.mk

install: all install-man install-completions install-bpf
	@install -D -m 755 $(BUILD)/mpbench $(DESTDIR)$(PREFIX)/bin/mpbench

uninstall: uninstall-man uninstall-completions uninstall-bpf
	rm -f $(DESTDIR)$(PREFIX)/bin/mpbench

# --- for a newcomer ----------------------------------------------------------------------------------------------
demo: ; @tests/deps.sh demo && $(MAKE) --no-print-directory all && tests/demo.sh

deps: ; @tests/deps.sh all

# What bpf/ needs may be among what is installed here: the makes below see for themselves, unless BPF was given.
check: ; @tests/deps.sh check && $(if $(filter environment command,$(origin BPF)),BPF=$(BPF)) tests/run

help:
	@sed -n '/^[^#]/q; s/^# \{0,1\}//p' Makefile
	@printf '%s\n' \
	'  all         build/mpbench (the default)' \
	'  demo        install what is missing, build, benchmark a real MicroPython, leave demo.json' \
	'  check       every test and every check of the code; ends with the number passed and failed' \
	'  deps        install the Debian packages that demo and check need' \
	'  unit cli    the unit tests; the tests of the program against real peers' \
	'  asan tsan   the tests under AddressSanitizer and UBSan; the unit tests under ThreadSanitizer' \
	'  fuzz        every fuzz target for FUZZ_SECONDS (600); fuzz-short: 5 seconds' \
	'  bench       ratios against peers and floors, kept as result files under build/bench/' \
	'  soak        the long tests; SOAK=0.01 runs each at a hundredth' \
	'  lint        format-check tidy analyze shellcheck layers headers' \
	'  format      rewrite the sources with clang-format' \
	'  man         the man pages, under build/man/' \
	'  install uninstall   below DESTDIR and PREFIX' \
	'  compdb      compile_commands.json' \
	'  clean       remove build/'

clean:
	rm -rf build $(filter-out build,$(BUILD)) compile_commands.json

# --- tests ---------------------------------------------------------------------------------------------------------
tests: all $(UNIT_BIN) $(TOOL_BIN) $(if $(filter asan,$(CONFIG)),$(FUZZ_BIN))

unit: tests
	@tests/unit.sh $(BUILD)/unit $(UNIT_BIN)

PYTEST ?= /usr/bin/python3 -m pytest
cli: tests
	@MPBENCH=$(BUILD)/mpbench $(PYTEST) -q tests/cli

asan:
	@$(MAKE) --no-print-directory CONFIG=asan unit cli

tsan:
	@$(MAKE) --no-print-directory CONFIG=tsan unit

FUZZ_SECONDS ?= 600
fuzz:
	@$(MAKE) --no-print-directory CONFIG=asan tests
	@tests/fuzz.sh build/asan/fuzz $(FUZZ_SECONDS)

fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=5

SOAK ?= 1
soak: tests
	@MPBENCH=$(BUILD)/mpbench SOAK=$(SOAK) $(PYTEST) -q tests/soak

bench: tests
	@MPBENCH=$(BUILD)/mpbench $(PYTEST) -q -s tests/bench

# --- checks of the code ----------------------------------------------------------------------------------------------
# A stamp per file, with the file's own dependencies: what did not change is not analysed again.
lint: format-check tidy analyze shellcheck layers headers

ANALYZE_STAMP := $(LINT_SRC:%=$(BUILD)/lint/analyze/%.ok)
TIDY_STAMP := $(LINT_SRC:%=$(BUILD)/lint/tidy/%.ok)
analyze: $(ANALYZE_STAMP)
tidy: $(TIDY_STAMP)

$(BUILD)/lint/analyze/%.ok: % $(BUILD)/flags | $(BUILD)/gen/version-gen.h
	$(say) ANALYZE $<
	@mkdir -p $(@D)
	$(Q)gcc $(CPPFLAGS_ALL) $(filter-out $(CLANG_WARN),$(WARN)) $(GCC_WARN) -O2 -fanalyzer -Werror $(LINT_CFLAGS) \
		-MMD -MP -MF $@.d -MT $@ -c -o /dev/null $<
	@touch $@

$(BUILD)/lint/tidy/%.ok: % .clang-tidy $(BUILD)/flags | $(BUILD)/gen/version-gen.h
	$(say) TIDY $<
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(CPPFLAGS_ALL) $(LINT_CFLAGS) 2>$@.log || { cat $@.log >&2; exit 1; }
	$(Q)$(CC) $(CPPFLAGS_ALL) $(LINT_CFLAGS) -MM -MP -MF $@.d -MT $@ $<
	@touch $@

# The analyser loses the owner of what is stored into an element of an array or handed on inside a struct. Leaks of these
# files are AddressSanitizer's to find.
ANALYZE_KEEPERS := src/base/url.c src/io/impair.c src/measure/engine.c src/peer/command-session.c src/peer/repl-job.c \
	src/peer/http-group.c src/peer/http-session.c src/peer/tftp-group.c src/result/side.c cmd/repl-cases.c cmd/rpc-http.c cmd/tftp-search.c \
	cmd/trace-json.c src/peer/iperf-client.c src/peer/iperf-sample.c src/peer/iperf-session.c cmd/iperf-cases.c
$(ANALYZE_KEEPERS:%=$(BUILD)/lint/analyze/%.ok): LINT_CFLAGS += -Wno-analyzer-malloc-leak

# The same with the connections of a tracker, which its table holds.
$(BUILD)/lint/analyze/src/peer/rpc-tracker.c.ok: LINT_CFLAGS += -Wno-analyzer-malloc-leak

# The same with the strings of a file, a case or a metric of a side, and the parts of a restored run.
$(BUILD)/lint/analyze/src/result/history.c.ok $(BUILD)/lint/analyze/src/result/side.c.ok \
$(BUILD)/lint/analyze/src/result/restore.c.ok: LINT_CFLAGS += -Wno-analyzer-malloc-leak

-include $(ANALYZE_STAMP:%=%.d) $(TIDY_STAMP:%=%.d)

format-check:
	@clang-format --dry-run -Werror $(FORMAT_SRC)

format:
	clang-format -i $(FORMAT_SRC)

shellcheck:
	@shellcheck $(SCRIPTS)

layers:
	@tests/layers.sh

headers: $(BUILD)/gen/version-gen.h
	@for h in $(HEADERS); do \
		$(CC) $(CPPFLAGS_ALL) $(WARN) -Werror -fsyntax-only -include "./$$h" -x c /dev/null || exit 1; \
	done

compdb: $(BUILD)/gen/version-gen.h
	@{ echo '['; s=; for f in $(SRC) $(CMD_SRC) $(UNIT_SRC) $(UNIT_HELP_SRC) $(TOOL_SRC) $(FUZZ_SRC); do \
		printf '%s{"directory":"%s","file":"%s","command":"%s -c %s"}' "$$s" '$(CURDIR)' "$$f" \
			'$(CC) $(CFLAGS_ALL) -Itests' "$$f"; s=',\n'; s=$$(printf ',\n_'); s=$${s%_}; \
	done; echo; echo ']'; } >compile_commands.json

# --- the stages of `make check`, run by tests/run -----------------------------------------------------------------------
# Each goes through tests/stage.sh, which keeps its log, time and counts and never fails, so that all of them run.
.PHONY: $(addprefix stage-,build asan-build tsan-build format tidy analyze shellcheck layers headers peers unit asan-unit \
	tsan-unit fuzz cli asan-cli soak quiet)
STAGE = +@tests/stage.sh
SUB = $(MAKE) --no-print-directory
stage-build: ; $(STAGE) build $(SUB) WERROR=1 tests
stage-asan-build: ; $(STAGE) asan-build $(SUB) CONFIG=asan tests
stage-tsan-build: ; $(STAGE) tsan-build $(SUB) CONFIG=tsan tests
stage-format: ; $(STAGE) format $(SUB) format-check
stage-tidy: ; $(STAGE) tidy $(SUB) -k tidy
stage-analyze: ; $(STAGE) analyze $(SUB) -k analyze
stage-shellcheck: ; $(STAGE) shellcheck $(SUB) shellcheck
stage-layers: ; $(STAGE) layers $(SUB) layers
stage-headers: ; $(STAGE) headers $(SUB) headers
stage-peers: ; $(STAGE) peers tests/peers.sh
stage-unit: ; $(STAGE) unit $(SUB) unit
stage-asan-unit: ; $(STAGE) asan-unit $(SUB) CONFIG=asan unit
stage-tsan-unit: ; $(STAGE) tsan-unit $(SUB) CONFIG=tsan unit
stage-fuzz: ; $(STAGE) fuzz tests/fuzz.sh build/asan/fuzz 3
stage-cli: ; $(STAGE) cli env MPBENCH=$(BUILD)/mpbench $(PYTEST) -q -m 'not quiet' tests/cli
stage-asan-cli: ; $(STAGE) asan-cli env MPBENCH=build/asan/mpbench $(PYTEST) -q -m 'not quiet and not native' tests/cli
stage-soak: ; $(STAGE) soak env MPBENCH=$(BUILD)/mpbench SOAK=0.01 $(PYTEST) -q tests/soak
stage-quiet: ; $(STAGE) quiet env MPBENCH=$(BUILD)/mpbench $(PYTEST) -q -m quiet tests/cli
