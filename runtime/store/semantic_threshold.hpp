#pragma once

#include <cstdint>
#include <vector>

namespace skep::store {

/// What comparisons said about one cached answer: how often it was right and wrong for another
/// text, by the similarity of the texts in hundredths. Small: a row per hundredth that occurred.
class similarity_record {
public:
  struct row {
    /// The similarity in hundredths.
    std::uint8_t similarity = 0;
    std::uint16_t right = 0;
    std::uint16_t wrong = 0;
  };

  /// `similarity` in thousandths. Counts stop at 65,535.
  void add(std::uint32_t similarity, bool right);
  const std::vector<row>& rows() const {
    return rows_;
  }
  std::uint32_t size() const {
    return size_;
  }

private:
  std::vector<row> rows_;
  std::uint32_t size_ = 0;
};

/// Learns from which similarity on a cached answer is right for another text, per entry, after
/// vCache (Schroeder et al., arXiv 2502.03771): P(right | s) is a logistic function of the
/// similarity s. vCache fits it by maximum likelihood; here the posterior is computed over a grid
/// of threshold, slope and a share of errors that no similarity excludes (without which evidence at
/// low similarities would prove anything about high ones). An entry with few observations of its
/// own borrows from those of all entries, of which each gives the first few and the older ones
/// fade: a prior worth at most `shared_weight` observations. Pure; not thread-safe.
class threshold_model {
public:
  threshold_model();

  /// P(wrong) of an entry with this record at this similarity (in thousandths) is below the result
  /// with a probability of 95 %.
  double wrong_bound(const similarity_record& of, std::uint32_t similarity) const;

  /// Adds an observation to what all entries share; `seen` is how many its entry gave before.
  void learn(std::uint32_t similarity, bool right, std::uint32_t seen);

private:
  // One hypothesis: P(right | s) = (1 - lapse) / (1 + exp(-slope (s - threshold))).
  struct hypothesis {
    double threshold = 0;
    double slope = 0;
    double lapse = 0;
    // The logarithm of how likely it makes what all entries share.
    double shared = 0;

    double wrong(double similarity) const;
  };

  std::vector<hypothesis> all_;
  std::uint32_t learnt_ = 0;
};

} // namespace skep::store
