// SPDX-License-Identifier: BSD-3-Clause
// BoundedRing and FixedQueue: order, bounds, ownership, and the ring between two threads.
#include "core/ring.h"

#include <memory>
#include <thread>

#include "core/random.h"
#include "test/check.h"

using rpma::core::BoundedRing;
using rpma::core::FixedQueue;

TEST(ring_rounds_its_capacity_and_refuses_when_full) {
  BoundedRing<int> ring(5);
  CHECK_EQ(ring.capacity(), 8);
  for (int i = 0; i < 8; ++i) CHECK(ring.try_push(i));
  CHECK(!ring.try_push(8));
  CHECK_EQ(ring.size(), 8);
  int value = -1;
  for (int i = 0; i < 8; ++i) {
    CHECK(ring.try_pop(value));
    CHECK_EQ(value, i);
  }
  CHECK(!ring.try_pop(value));
  CHECK(ring.empty());
  CHECK_EQ(BoundedRing<int>(0).capacity(), 1);
}

TEST(ring_lets_go_of_what_was_popped) {
  BoundedRing<std::shared_ptr<int>> ring(2);
  auto owned = std::make_shared<int>(1);
  CHECK(ring.try_push(owned));
  CHECK_EQ(owned.use_count(), 2);
  std::shared_ptr<int> popped;
  CHECK(ring.try_pop(popped));
  popped = nullptr;
  CHECK_EQ(owned.use_count(), 1);
  CHECK(ring.try_push(owned));
  CHECK(ring.peek() != nullptr && *ring.peek() == owned);
  ring.drop();
  CHECK(ring.peek() == nullptr);
  CHECK_EQ(owned.use_count(), 1);
}

TEST(ring_does_not_move_from_a_refused_value) {
  BoundedRing<std::unique_ptr<int>> ring(1);
  CHECK(ring.try_push(std::make_unique<int>(1)));
  auto kept = std::make_unique<int>(2);
  CHECK(!ring.try_push(std::move(kept)));
  CHECK(kept != nullptr && *kept == 2);
}

TEST(ring_carries_everything_between_two_threads_in_order) {
  constexpr std::uint64_t kCount = 200'000;
  BoundedRing<std::unique_ptr<std::uint64_t>> ring(64);
  std::thread producer([&ring] {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      auto value = std::make_unique<std::uint64_t>(i);
      while (!ring.try_push(std::move(value))) std::this_thread::yield();
    }
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    std::unique_ptr<std::uint64_t> value;
    while (!ring.try_pop(value)) std::this_thread::yield();
    wrong += *value == i ? 0 : 1;
  }
  producer.join();
  CHECK_EQ(wrong, 0);
  CHECK(ring.empty());
}

TEST(queue_keeps_exactly_its_capacity) {
  FixedQueue<int> queue(3);
  CHECK(queue.push_back(1) && queue.push_back(2) && queue.push_front(0));
  CHECK(queue.full());
  CHECK(!queue.push_back(3));
  CHECK(!queue.push_front(3));
  CHECK_EQ(queue[0], 0);
  CHECK_EQ(queue.back(), 2);
  queue.pop_back();
  CHECK_EQ(queue.take_front(), 0);
  CHECK_EQ(queue.front(), 1);
  queue.clear();
  CHECK(queue.empty());
  FixedQueue<int> none(0);
  CHECK(!none.push_back(1));
}

TEST(queue_agrees_with_a_model) {
  rpma::core::SeededRandom random(7);
  FixedQueue<std::uint64_t> queue(13);
  std::vector<std::uint64_t> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t value = random.next_u64();
    switch (random.below(4)) {
      case 0:
        CHECK_EQ(queue.push_back(value), model.size() < 13);
        if (model.size() < 13) model.push_back(value);
        break;
      case 1:
        CHECK_EQ(queue.push_front(value), model.size() < 13);
        if (model.size() < 13) model.insert(model.begin(), value);
        break;
      case 2:
        if (model.empty()) break;
        CHECK_EQ(queue.take_front(), model.front());
        model.erase(model.begin());
        break;
      default:
        if (model.empty()) break;
        queue.pop_back();
        model.pop_back();
    }
    CHECK_EQ(queue.size(), model.size());
    for (std::size_t i = 0; i < model.size(); ++i) CHECK_EQ(queue[i], model[i]);
  }
}

TEST(queue_lets_go_of_what_was_popped) {
  FixedQueue<std::shared_ptr<int>> queue(2);
  auto owned = std::make_shared<int>(1);
  CHECK(queue.push_back(owned) && queue.push_back(owned));
  queue.pop_front();
  queue.pop_back();
  CHECK_EQ(owned.use_count(), 1);
}

CHECK_MAIN()
