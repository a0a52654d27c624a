#include "measure/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "measure/sysfile.h"

#define CPU_DIR "/sys/devices/system/cpu"

enum { CORES_MAX = 4096 };

/* What /proc/cpuinfo tells; (package, core) pairs are counted once each. */
struct cpuinfo {
	struct host *host;
	uint64_t package;
	uint64_t core[CORES_MAX];
	bool flags, hypervisor;
};

static void add_core(struct cpuinfo *c, uint64_t core)
{
	uint64_t key = c->package << 32 | (core & UINT32_MAX);

	for (uint32_t i = 0; i < c->host->cpus_physical; i++)
		if (c->core[i] == key)
			return;
	if (c->host->cpus_physical < CORES_MAX)
		c->core[c->host->cpus_physical++] = key;
}

static void cpuinfo_line(struct cpuinfo *c, const char *line)
{
	const char *value = strchr(line, ':');
	struct host *h = c->host;
	uint64_t number;

	if (!value)
		return;
	value += 1 + strspn(value + 1, " \t");
	if (strncmp(line, "processor", 9) == 0) {
		h->cpus_logical++;
	} else if (strncmp(line, "model name", 10) == 0 && !h->cpu_model[0]) {
		snprintf(h->cpu_model, sizeof(h->cpu_model), "%.*s", (int)strcspn(value, "\n"),
			 value);
	} else if (strncmp(line, "physical id", 11) == 0) {
		sysfile_parse_u64(value, &c->package, NULL);
	} else if (strncmp(line, "core id", 7) == 0) {
		if (sysfile_parse_u64(value, &number, NULL))
			add_core(c, number);
	} else if (strncmp(line, "flags", 5) == 0) {
		c->flags = true;
		c->hypervisor = c->hypervisor || strstr(value, " hypervisor");
	}
}

/* "none" or "vm" by the flag of the CPU, as far as it has flags. */
static void read_cpuinfo(struct host *h, const char *root)
{
	struct cpuinfo *c = calloc(1, sizeof(*c));
	FILE *f = c ? sysfile_open(root, "/proc/cpuinfo") : NULL;
	char line[4096];

	if (f) {
		c->host = h;
		while (fgets(line, sizeof(line), f))
			cpuinfo_line(c, line);
		fclose(f);
		if (c->flags)
			snprintf(h->virt, sizeof(h->virt), "%s", c->hypervisor ? "vm" : "none");
	}
	free(c);
}

/* How the firmware's tables name the makers of machines that are not real. */
static const struct {
	const char *word, *name;
} makers[] = {
	{ "QEMU", "kvm" },
	{ "KVM", "kvm" },
	{ "VMware", "vmware" },
	{ "VirtualBox", "virtualbox" },
	{ "innotek", "virtualbox" },
	{ "Virtual Machine", "microsoft" },
	{ "Amazon EC2", "amazon" },
	{ "Google Compute Engine", "google" },
	{ "OpenStack", "kvm" },
	{ "Xen", "xen" },
	{ "Parallels", "parallels" },
	{ "Apple Virtualization", "apple" },
	{ "Bochs", "bochs" },
};

static void read_virt(struct host *h, const char *root)
{
	static const char *const files[] = { "/sys/class/dmi/id/product_name",
					     "/sys/class/dmi/id/sys_vendor",
					     "/sys/class/dmi/id/bios_vendor" };
	char text[128];

	if (sysfile_line(root, "/sys/hypervisor/type", text, sizeof(text)) && text[0]) {
		snprintf(h->virt, sizeof(h->virt), "%.31s", text);
		return;
	}
	/* EC2 writes its name into the tables of its bare-metal machines too. */
	if (strcmp(h->virt, "none") == 0)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if (!sysfile_line(root, files[i], text, sizeof(text)))
			continue;
		for (size_t k = 0; k < sizeof(makers) / sizeof(*makers); k++)
			if (strstr(text, makers[k].word)) {
				snprintf(h->virt, sizeof(h->virt), "%s", makers[k].name);
				return;
			}
	}
}

static int read_container(const char *root)
{
	static const char *const marks[] = { "/.dockerenv", "/run/.containerenv",
					     "/run/systemd/container" };
	static const char *const words[] = { "docker", "kubepods", "containerd", "/lxc", "libpod" };
	char line[512];
	int found = 0;
	FILE *f;

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (sysfile_exists(root, marks[i]))
			return 1;
	f = sysfile_open(root, "/proc/1/cgroup");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (strstr(line, words[i]))
				found = 1;
	fclose(f);
	return found;
}

static int tristate(const char *root, const char *path)
{
	uint64_t v;

	return sysfile_u64(root, path, &v) ? v != 0 : -1;
}

static void read_frequency(struct host *h, const char *root)
{
	int no_turbo = tristate(root, CPU_DIR "/intel_pstate/no_turbo");

	sysfile_line(root, CPU_DIR "/cpu0/cpufreq/scaling_governor", h->governor,
		     sizeof(h->governor));
	sysfile_line(root, CPU_DIR "/cpu0/cpufreq/scaling_driver", h->driver, sizeof(h->driver));
	sysfile_u64(root, CPU_DIR "/cpu0/cpufreq/cpuinfo_max_freq", &h->max_khz);
	h->turbo = no_turbo >= 0 ? !no_turbo : tristate(root, CPU_DIR "/cpufreq/boost");
	h->smt = tristate(root, CPU_DIR "/smt/active");
}

static void read_system(struct host *h, const char *root)
{
	char text[128];
	struct utsname u;
	uint64_t kib;

	if (sysfile_value(root, "/etc/os-release", "PRETTY_NAME=", text, sizeof(text))) {
		size_t quoted = text[0] == '"';

		text[strcspn(text + quoted, "\"") + quoted] = '\0';
		snprintf(h->os, sizeof(h->os), "%.95s", text + quoted);
	}
	sysfile_line(root, "/proc/sys/kernel/osrelease", h->kernel, sizeof(h->kernel));
	if (!sysfile_line(root, "/proc/sys/kernel/arch", h->arch, sizeof(h->arch)) &&
	    uname(&u) == 0)
		snprintf(h->arch, sizeof(h->arch), "%.31s", u.machine);
	if (sysfile_value(root, "/proc/meminfo", "MemTotal:", text, sizeof(text)) &&
	    sysfile_parse_u64(text, &kib, NULL))
		h->memory_bytes = kib * 1024;
	sysfile_value(root, "/proc/self/status", "Cpus_allowed_list:", h->affinity,
		      sizeof(h->affinity));
	sysfile_line(root, "/proc/sys/kernel/random/boot_id", h->boot_id, sizeof(h->boot_id));
	h->aslr = tristate(root, "/proc/sys/kernel/randomize_va_space");
}

static bool set_and_not_false(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] && strcmp(v, "0") != 0 && strcmp(v, "false") != 0;
}

static void read_ci(struct host *h)
{
	const char *name = NULL, *attempt = getenv("GITHUB_RUN_ATTEMPT");

	if (set_and_not_false("GITHUB_ACTIONS"))
		name = "github";
	else if (set_and_not_false("GITLAB_CI"))
		name = "gitlab";
	else if (set_and_not_false("CI"))
		name = "generic";
	h->ci = name;
	if (!name)
		return;
	snprintf(h->ci_name, sizeof(h->ci_name), "%s", name);
	if (attempt && strcmp(name, "github") == 0)
		snprintf(h->ci_attempt, sizeof(h->ci_attempt), "%.15s", attempt);
}

static uint64_t fnv1a(uint64_t hash, const char *text)
{
	/* The final NUL is taken in too, so that fields cannot run into each other. */
	for (;; text++) {
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
		if (!*text)
			return hash;
	}
}

static void make_fingerprint(struct host *h)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	char numbers[64];

	snprintf(numbers, sizeof(numbers), "%u %u %llu", h->cpus_logical, h->cpus_physical,
		 (unsigned long long)h->memory_bytes);
	hash = fnv1a(hash, h->kernel);
	hash = fnv1a(hash, h->arch);
	hash = fnv1a(hash, h->cpu_model);
	hash = fnv1a(hash, numbers);
	hash = fnv1a(hash, h->governor);
	hash = fnv1a(hash, h->virt);
	snprintf(h->fingerprint, sizeof(h->fingerprint), "%016llx", (unsigned long long)hash);
}

void host_read(struct host *out, const char *root, bool with_name)
{
	struct rlimit limit;

	memset(out, 0, sizeof(*out));
	read_system(out, root);
	read_cpuinfo(out, root);
	read_virt(out, root);
	read_frequency(out, root);
	read_ci(out);
	out->container = read_container(root);
	if (with_name)
		sysfile_line(root, "/proc/sys/kernel/hostname", out->host_name,
			     sizeof(out->host_name));
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		out->nofile_limit = limit.rlim_cur;
	clock_measure(&out->clock);
	make_fingerprint(out);
}
