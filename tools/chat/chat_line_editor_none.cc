// Where libedit is not installed: no editing, and so no history.

#include "chat_line_editor.h"

namespace slm::tools {

std::unique_ptr<LineEditor> LineEditor::Create(const LineEditorOptions&) { return nullptr; }

}  // namespace slm::tools
