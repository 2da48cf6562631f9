// SPDX-License-Identifier: BSD-3-Clause
//
// What the tests of the wire codecs share: hexadecimal text, files of this directory, and frames
// built from parts. Header only, for tests only; single-threaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "provider/iwarp/crc32c.h"
#include "provider/iwarp/mpa.h"

namespace rpma::test {

using Bytes = std::vector<std::byte>;

inline int hex_digit(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

// Bytes of a hexadecimal text; whatever is no digit only separates.
inline Bytes from_hex(std::string_view text) {
  Bytes bytes;
  int high = -1;
  for (const char letter : text) {
    const int digit = hex_digit(letter);
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<std::byte>(high << 4 | digit));
      high = -1;
    }
  }
  return bytes;
}

inline std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[static_cast<std::size_t>(byte) >> 4];
    text += kDigits[static_cast<std::size_t>(byte) & 0xF];
  }
  return text;
}

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline Bytes joined(std::span<const std::byte> first, std::span<const std::byte> second) {
  Bytes bytes(first.begin(), first.end());
  bytes.insert(bytes.end(), second.begin(), second.end());
  return bytes;
}

// A whole FPDU: what an encoder wrote, the payload behind it, pad and checksum.
inline Bytes frame_of(std::span<const std::byte> header, std::span<const std::byte> payload,
                      bool crc = true) {
  Bytes bytes = joined(header, payload);
  const std::size_t ulpdu_bytes = bytes.size() - iwarp::kUlpduLengthBytes;
  const std::uint32_t state = iwarp::crc32c(iwarp::kCrc32cBegin, bytes.data(), bytes.size());
  Bytes trailer(iwarp::kTrailerBytesMax);
  trailer.resize(crc ? iwarp::encode_trailer(trailer, ulpdu_bytes, state)
                     : iwarp::encode_trailer_without_crc(trailer, ulpdu_bytes));
  return joined(bytes, trailer);
}

inline std::filesystem::path golden_directory() {
  return std::filesystem::path(__FILE__).parent_path();
}

inline Bytes golden_file(const std::string& name) {
  std::ifstream file(golden_directory() / name, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto bytes = as_bytes(content);
  return {bytes.begin(), bytes.end()};
}

}  // namespace rpma::test
