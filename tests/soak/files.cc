#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

#include "slm/session.h"
#include "soak/faults.h"
#include "soak/soak.h"
#include "support/test_data.h"

namespace slm::test {

namespace {

void Write(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string Damaged(Dice& dice, std::string bytes) {
  if (dice.Chance(2)) bytes.resize(static_cast<std::size_t>(dice.Below(static_cast<int>(bytes.size()))));
  for (int changes = 1 + dice.Below(4); changes > 0 && !bytes.empty(); --changes)
    bytes[static_cast<std::size_t>(dice.Below(static_cast<int>(bytes.size())))] ^=
        static_cast<char>(1 + dice.Below(255));
  return bytes;
}

// The child of KillWhileSaving: saves one of two sessions after the other, until it is killed.
[[noreturn]] void SaveForever(const Session& first, const Session& second, const std::filesystem::path& path) {
  for (;;) {
    if (!first.Save(path, "first").ok() || !second.Save(path, "second").ok()) _exit(1);
  }
}

constexpr SessionOptions kOptions = {.context_length = 512, .kv_type = KvType::kF32, .threads = 1};

Session SessionOf(const Model& model, std::size_t tokens) {
  auto session = Session::Create(model, kOptions);
  Require(session.ok() && session->Append(std::vector<Token>(tokens, 1)).ok(), "a session");
  return std::move(*session);
}

}  // namespace

void RunDamagedFiles(World& world) {
  const auto path = world.folder / "damaged";
  Write(path, Damaged(world.dice, ReadFile(world.model_path)));
  if (const auto model = Model::Open(path); model.ok()) {
    auto session = Session::Create(*model, {.context_length = 16, .threads = 1});
    if (session.ok()) static_cast<void>(session->Append(std::array<Token, 3>{0, 1, 2}));
    ++world.counts["damaged models that run"];
  } else {
    Require(!model.status().message().empty(), "errors say something");
    ++world.counts["damaged models refused"];
  }

  const Model model = *Model::Open(world.model_path);
  Require(SessionOf(model, 40).Save(path).ok(), "a session is saved");
  const std::string saved = ReadFile(path);
  Write(path, Damaged(world.dice, saved));
  if (ReadFile(path) != saved) {
    Require(!Session::Restore(model, path, kOptions).ok(), "a session file that was changed is refused");
    ++world.counts["damaged sessions refused"];
  }
  {
    const Limit none = NoDescriptors();
    Require(!Model::Open(world.model_path).ok(), "without descriptors no model is opened");
  }
  Require(!Model::Open(world.folder).ok() && !Session::Restore(model, world.folder, kOptions).ok(),
          "a folder is no file");
  Require(!SessionOf(model, 1).Save(world.folder / "none" / "x").ok(), "there must be a folder to save to");
  std::filesystem::remove(path);
}

void KillWhileSaving(World& world, int times) {
  const auto folder = world.folder / "killed", path = folder / "session";
  std::filesystem::create_directory(folder);
  const Model model = *Model::Open(world.model_path);
  const Session first = SessionOf(model, 100), second = SessionOf(model, 400);
  Require(first.Save(path, "first").ok(), "a session is saved");
  int found_first = 0, parts = 0;
  for (int i = 0; i < times; ++i) {
    const pid_t child = fork();
    Require(child >= 0, "a process");
    if (child == 0) SaveForever(first, second, path);
    std::this_thread::sleep_for(std::chrono::microseconds(world.dice.Below(20'000)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);

    auto restored = Session::Restore(model, path, kOptions);
    Require(restored.ok(), "the old file or the new one is there, whole: " + restored.status().message());
    const bool is_first = restored->note == "first";
    Require(restored->session.position() == (is_first ? 100 : 400), "a file holds one session");
    found_first += is_first ? 1 : 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path() == path) continue;
      std::filesystem::remove(entry.path());
      ++parts;
    }
  }
  std::printf("killed %d times while saving: %d times one file was found, %d times the other; %d left a part behind\n",
              times, found_first, times - found_first, parts);
  std::filesystem::remove_all(folder);
}

}  // namespace slm::test
