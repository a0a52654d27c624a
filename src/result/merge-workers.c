#include "result/merge-workers.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_int_t total_of(const json_t *root, const char *key)
{
	const json_t *benchmark, *run;
	json_int_t sum = 0;
	size_t i, k;

	json_array_foreach(json_object_get(root, "benchmarks"), i, benchmark)
		json_array_foreach(json_object_get(benchmark, "runs"), k, run)
	{
		json_int_t more = json_integer_value(json_object_get(run, key));

		sum = sum > JSON_INTEGER_MAX - more ? JSON_INTEGER_MAX : sum + more;
	}
	return sum;
}

static int copy_member(json_t *to, const json_t *from, const char *key, struct err *e)
{
	const json_t *value = json_object_get(from, key);

	return json_put(to, key, value ? json_deep_copy(value) : json_null(), e);
}

static json_t *worker_of(const json_t *root, struct err *e)
{
	CLEANUP(json_decref) json_t *w = json_object();
	const json_t *environment = json_object_get(root, "environment");

	if (!w) {
		err_nomem(e);
		return NULL;
	}
	if (copy_member(w, root, "run_id", e) < 0 ||
	    copy_member(w, json_object_get(root, "extensions"), "rank", e) < 0 ||
	    copy_member(w, environment, "host", e) < 0 ||
	    copy_member(w, environment, "fingerprint", e) < 0 ||
	    copy_member(w, root, "started_at", e) < 0 ||
	    copy_member(w, root, "finished_at", e) < 0 || copy_member(w, root, "status", e) < 0 ||
	    copy_member(w, root, "labels", e) < 0 || copy_member(w, root, "targets", e) < 0 ||
	    json_put(w, "operations", json_integer(total_of(root, "ok")), e) < 0 ||
	    json_put(w, "failed", json_integer(total_of(root, "failed")), e) < 0)
		return NULL;
	return TAKE(w);
}

json_t *merge_workers_open(json_t *root, struct err *e)
{
	json_t *extensions = json_object_get(root, "extensions"), *merge, *list;

	if (!extensions)
		extensions = json_put_object(root, "extensions", e);
	if (!extensions)
		return NULL;
	merge = json_object_get(extensions, "merge");
	if (json_is_array(json_object_get(merge, "workers")))
		return merge;
	merge = json_put_object(extensions, "merge", e);
	list = merge ? json_put_array(merge, "workers", e) : NULL;
	return list && json_push(list, worker_of(root, e), e) == 0 ? merge : NULL;
}

/* Both sorted. */
int merge_workers_add(json_t *a, const json_t *b, const char *name, struct err *e)
{
	const json_t *x = json_object_get(a, "workers"), *y = json_object_get(b, "workers");
	CLEANUP(json_decref) json_t *both = json_array();
	size_t i = 0, k = 0;

	if (!both)
		return err_nomem(e);
	while (i < json_array_size(x) || k < json_array_size(y)) {
		json_t *left = json_array_get(x, i), *right = json_array_get(y, k);
		int order = !left    ? 1
			    : !right ? -1
				     : strcmp(text_of(left, "run_id"), text_of(right, "run_id"));

		if (order == 0)
			return err_set(
				e, ERR_USAGE, "twice",
				"%s: its measurement (run_id %.12s) is in already: it would count twice",
				name, text_of(left, "run_id"));
		if (json_push(both, json_incref(order < 0 ? left : right), e) < 0)
			return -1;
		*(order < 0 ? &i : &k) += 1;
	}
	return json_put(a, "workers", TAKE(both), e);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* SHA-256 over the sorted, distinct values of a key, in hex digits. */
static int digest(const json_t *workers, const char *key, char out[65], size_t *distinct,
		  struct err *e)
{
	size_t n = json_array_size(workers), i;
	CLEANUP_FREE const char **texts = calloc(n + 1, sizeof(*texts));
	struct sha256 sum;
	const json_t *worker;

	if (!texts)
		return err_nomem(e);
	json_array_foreach(workers, i, worker) texts[i] = text_of(worker, key);
	qsort(texts, n, sizeof(*texts), compare_texts);
	*distinct = 0;
	sha256_init(&sum);
	for (i = 0; i < n; i++) {
		if (i && strcmp(texts[i], texts[i - 1]) == 0)
			continue;
		++*distinct;
		sha256_add(&sum, texts[i], strlen(texts[i]) + 1);
	}
	sha256_hex(&sum, out);
	return 0;
}

int merge_workers_identify(json_t *root, struct err *e)
{
	const json_t *merge = json_object_get(json_object_get(root, "extensions"), "merge");
	const json_t *workers = json_object_get(merge, "workers");
	char text[65];
	size_t distinct;

	if (digest(workers, "run_id", text, &distinct, e) < 0)
		return -1;
	text[32] = '\0';
	if (json_put(root, "run_id", json_string(text), e) < 0 ||
	    digest(workers, "fingerprint", text, &distinct, e) < 0)
		return -1;
	text[16] = '\0';
	if (distinct == 1)
		return 0;
	return json_put(json_object_get(root, "environment"), "fingerprint", json_string(text), e);
}
