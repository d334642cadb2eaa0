// What the filters on lists share.

#ifndef SLM_JINJA_LIST_FILTERS_H_
#define SLM_JINJA_LIST_FILTERS_H_

#include <vector>

#include "jinja/value.h"

namespace slm::jinja {

// item.a.b for the path 'a.b', item[3] for the path 3; undefined if there is no such thing.
Value AtPath(Evaluator& evaluator, const Value& item, const Value& path);

// What sorting compares: texts without regard to case, unless asked.
Value SortKey(Evaluator& evaluator, const Value& value, bool case_sensitive);
// `items` in the order of their keys, `keys[i]` being those of `items[i]`. Stable.
List SortBy(Evaluator& evaluator, const List& items, const Array<List>& keys, bool reverse);

}  // namespace slm::jinja

#endif  // SLM_JINJA_LIST_FILTERS_H_
