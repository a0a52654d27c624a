# The man pages, from the tables of the program and the prose beside this file; and where pages and completions go.
# Without scdoc there are no pages, and nothing else is missing.
MAN_PROSE := $(wildcard docs/man/*.1.scd)
SCDOC ?= $(shell command -v scdoc 2>/dev/null)
COMPLETIONS := $(BUILD)/completions/mpbench $(BUILD)/completions/_mpbench $(BUILD)/completions/mpbench.fish

.PHONY: install-man uninstall-man install-completions uninstall-completions
man: $(BUILD)/man/done

# One stamp: which pages there are is known by the program only.
$(BUILD)/man/done: $(BUILD)/mpbench $(MAN_PROSE)
	@rm -rf $(@D) && mkdir -p $(@D)
ifneq ($(SCDOC),)
	@for page in $$($(BUILD)/mpbench manpage --list); do \
		prose=docs/man/$$page.1.scd; \
		$(BUILD)/mpbench manpage $$page $$(test -e $$prose && echo $$prose) >$(@D)/$$page.scd && \
			SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || date +%s)} \
			$(SCDOC) <$(@D)/$$page.scd >$(@D)/$$page.1 || exit 1; \
	done
	@rm -f $(@D)/*.scd
	@touch $@
else
	@echo "man: scdoc is missing, no man pages are made (apt-get install scdoc)"
endif

install-man: man
	@mkdir -p $(DESTDIR)$(MANDIR)/man1
	@for page in $(BUILD)/man/*.1; do test -e $$page || continue; \
		install -m 644 $$page $(DESTDIR)$(MANDIR)/man1/ || exit 1; done

uninstall-man:
	rm -f $(DESTDIR)$(MANDIR)/man1/mpbench.1 $(DESTDIR)$(MANDIR)/man1/mpbench-*.1

$(BUILD)/completions/mpbench: for_shell = bash
$(BUILD)/completions/_mpbench: for_shell = zsh
$(BUILD)/completions/mpbench.fish: for_shell = fish
$(COMPLETIONS): $(BUILD)/mpbench
	@mkdir -p $(@D)
	@$(BUILD)/mpbench completion $(for_shell) >$@

install-completions: $(COMPLETIONS)
	@install -D -m 644 $(BUILD)/completions/mpbench $(DESTDIR)$(BASHCOMPDIR)/mpbench
	@install -D -m 644 $(BUILD)/completions/_mpbench $(DESTDIR)$(ZSHCOMPDIR)/_mpbench
	@install -D -m 644 $(BUILD)/completions/mpbench.fish $(DESTDIR)$(FISHCOMPDIR)/mpbench.fish

uninstall-completions:
	rm -f $(DESTDIR)$(BASHCOMPDIR)/mpbench $(DESTDIR)$(ZSHCOMPDIR)/_mpbench $(DESTDIR)$(FISHCOMPDIR)/mpbench.fish
