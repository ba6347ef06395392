#include "runtime/store/semantic_lexicon.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

namespace skep::store {

namespace {

using std::string_view;

/// Calls `each` with every word of a list written with spaces.
template <class Fn>
void for_words(string_view list, Fn each) {
  while (!list.empty()) {
    const auto word = list.substr(0, list.find(' '));
    list.remove_prefix(std::min(list.size(), word.size() + 1));
    if (!word.empty())
      each(word);
  }
}

struct marker_row {
  string_view marker;
  string_view words;
};

// One row per meaning; a word stands in one row only. Words of a row without a sign are taken for
// the same. Opposites have a sign, and there only forms of one word are the same (see marker_of).
constexpr std::array marker_rows{
  // Negation and its kind.
  marker_row{"not",
             "not no cannot dont doesnt didnt isnt arent wasnt werent cant couldnt wont wouldnt "
             "shouldnt hasnt havent hadnt aint mustnt"},
  marker_row{"without", "without lacking"},
  marker_row{"except", "except excluding excludes exclude excluded"},
  marker_row{"instead", "instead"},
  marker_row{"only", "only solely exclusively"},
  marker_row{"or", "or either"},
  marker_row{"than", "than"},
  marker_row{"all", "all every each"},

  // What is asked for.
  marker_row{"who", "who whom"},
  marker_row{"when", "when"},
  marker_row{"where", "where"},
  marker_row{"why", "why"},
  marker_row{"how", "how"},
  marker_row{"many", "many"},
  marker_row{"much", "much"},
  // Modality and time.
  marker_row{"may", "may might"},
  marker_row{"can", "can could"},
  marker_row{"should", "should ought"},
  marker_row{"must", "must required mandatory"},
  marker_row{"optional", "optional"},
  marker_row{"will", "will shall"},
  marker_row{"past", "was were did"},
  marker_row{"your", "your yours yourself"},
  // Directions that the order of words does not show.
  marker_row{"from", "from"},
  marker_row{"by", "by"},
  marker_row{"between", "between among"},
  marker_row{"against", "against"},
  marker_row{"within", "within inside"},
  marker_row{"outside", "outside"},
  marker_row{"until", "until till"},
  marker_row{"since", "since"},
  marker_row{"during", "during"},
  marker_row{"through", "through via"},
  marker_row{"despite", "despite although"},
  marker_row{"into", "into onto"},
  marker_row{"+time", "before prior previous previously earlier"},
  marker_row{"-time", "after afterwards next following later"},
  marker_row{"+end", "first initial initially"},
  marker_row{"-end", "last final finally latest"},
  marker_row{"+height", "above over"},
  marker_row{"-height", "below under beneath underneath"},
  marker_row{"+up", "up upward upwards"},
  marker_row{"-up", "down downward downwards"},
  marker_row{"+side", "left"},
  marker_row{"-side", "right"},
  marker_row{"north", "north northern"},
  marker_row{"south", "south southern"},
  marker_row{"east", "east eastern"},
  marker_row{"west", "west western"},
  marker_row{"+front", "front"},
  marker_row{"-front", "behind back"},
  marker_row{"+near", "near nearby close closest nearest"},
  marker_row{"-near", "far farthest furthest"},
  // Opposites.
  marker_row{"+on", "enable enables enabled enabling activate activates activated activating"},
  marker_row{"-on", "disable disables disabled disabling deactivate deactivates deactivated off"},
  marker_row{"+safe", "safe safely safety"},
  marker_row{"-safe", "dangerous danger harmful risky hazardous"},
  marker_row{"+secure", "secure secured"},
  marker_row{"+grow",
             "increase increases increased increasing grow grows grew growing raise raises "
             "raised raising rise rises rose rising boost gain gains gained maximize "
             "maximise strengthen expand widen accelerate"},
  marker_row{"-grow", "decrease decreases decreased decreasing shrink shrinks shrinking lower "
                      "lowers lowered lowering reduce reduces reduced reducing fall falls fell "
                      "falling drop drops dropped lose loses lost minimize minimise weaken "
                      "collapse narrow"},
  marker_row{"+max", "maximum max maximal largest biggest highest greatest longest"},
  marker_row{"-max", "minimum min minimal smallest lowest least shortest"},
  marker_row{"+more", "more greater higher larger bigger"},
  marker_row{"-more", "less fewer smaller"},
  marker_row{"+high", "high tall"},
  marker_row{"-high", "low"},
  marker_row{"+big", "big large huge"},
  marker_row{"-big", "small little tiny"},
  marker_row{"+long", "long longer"},
  marker_row{"-long", "short shorter"},
  marker_row{"+speed", "fast faster fastest quick quickly quicker rapid"},
  marker_row{"-speed", "slow slower slowest slowly"},
  marker_row{"+new", "new newer newest young younger youngest"},
  marker_row{"-new", "old older oldest"},
  marker_row{"+early", "early"},
  marker_row{"-early", "late"},
  marker_row{"+hot", "hot warm hotter"},
  marker_row{"-hot", "cold cool colder"},
  marker_row{"+good", "good better best"},
  marker_row{"-good", "bad worse worst"},
  marker_row{"+cheap", "cheap cheaper cheapest"},
  marker_row{"-cheap", "expensive costly"},
  marker_row{"+strong", "strong stronger strongest"},
  marker_row{"-strong", "weak weaker weakest"},
  marker_row{"+easy", "easy easier easiest simple"},
  marker_row{"-easy", "hard harder hardest difficult complex"},
  marker_row{"+hard", "soft"},
  marker_row{"+rich", "rich wealthy"},
  marker_row{"-rich", "poor"},
  marker_row{"+true", "true correct"},
  marker_row{"-true", "false wrong"},
  marker_row{"+yes", "yes"},
  marker_row{"+pro", "pro pros advantage advantages benefit benefits"},
  marker_row{"-pro", "con cons disadvantage disadvantages drawback drawbacks downside downsides"},
  marker_row{"+positive", "positive"},
  marker_row{"-positive", "negative"},
  marker_row{"+profit", "profit profits"},
  marker_row{"-profit", "loss losses"},
  marker_row{"+win", "win wins won winner"},
  marker_row{"-win", "loser defeat defeated"},
  marker_row{"+possible", "possible able allowed"},
  marker_row{"+same", "same equal identical alike"},
  marker_row{"-same", "different other another difference differences"},
  marker_row{"+public", "public"},
  marker_row{"-public", "private"},
  marker_row{"+local", "local"},
  marker_row{"-local", "remote"},
  marker_row{"+manual", "manual manually"},
  marker_row{"-manual", "automatic automatically"},
  marker_row{"+sync", "sync synchronous"},
  marker_row{"-sync", "async asynchronous"},
  marker_row{"+ascending", "ascending asc"},
  marker_row{"-ascending", "descending desc"},
  marker_row{"+horizontal", "horizontal horizontally"},
  marker_row{"-horizontal", "vertical vertically"},
  marker_row{"+past", "past"},
  marker_row{"-past", "future upcoming"},
  marker_row{"+alive", "alive living"},
  marker_row{"-alive", "dead deceased"},
  // Acts that undo each other.
  marker_row{"+add", "add adds added adding insert inserts inserted append attach"},
  marker_row{"-add",
             "remove removes removed removing delete deletes deleted deleting erase detach"},
  marker_row{"+create", "create creates created creating build"},
  marker_row{"-create", "destroy destroys destroyed"},
  marker_row{"+open", "open opens opened opening"},
  marker_row{"-open", "closed closes closing shut"},
  marker_row{"+start", "start starts started starting begin begins began launch"},
  marker_row{"-start", "stop stops stopped stopping end ends ended ending quit terminate cancel"},
  marker_row{"+buy", "buy buys buying bought purchase purchased purchasing"},
  marker_row{"-buy", "sell sells selling sold"},
  marker_row{"+lend", "lend lends lent lending"},
  marker_row{"-lend", "borrow borrows borrowed borrowing"},
  marker_row{"+send", "send sends sent sending"},
  marker_row{"-send", "receive receives received receiving"},
  marker_row{"+give", "donate"},
  marker_row{"-give", "take takes took taking"},
  marker_row{"+push", "push pushes pushed"},
  marker_row{"-push", "pull pulls pulled"},
  marker_row{"+load", "upload uploads uploaded uploading"},
  marker_row{"-load", "download downloads downloaded downloading"},
  marker_row{"+import", "import imports imported importing"},
  marker_row{"-import", "export exports exported exporting"},
  marker_row{"+allow", "allow allows permit permits grant grants"},
  marker_row{"-allow", "deny denies forbid forbids forbidden block blocks blocked ban banned "
                       "prevent prevents prohibit prohibited"},
  marker_row{"+accept", "accept accepts accepted approve approves approved"},
  marker_row{"-accept", "reject rejects rejected decline declines declined refuse refuses"},
  marker_row{"+encrypt", "encrypt encrypts encrypted encryption encode encodes encoding"},
  marker_row{"-encrypt", "decrypt decrypts decrypted decryption decode decodes decoding"},
  marker_row{"+lock", "lock locks locked"},
  marker_row{"+install", "install installs installed installing"},
  marker_row{"+connect", "connect connects connected connecting"},
  marker_row{"+show", "reveal unhide"},
  marker_row{"-show", "hide hides hidden"},
  marker_row{"+enter", "enter enters entry arrive arrives arrival arrivals incoming login signin"},
  marker_row{"-enter", "exit exits leave leaves depart departs departure departures outgoing "
                       "logout signout"},
  marker_row{"+credit", "credit"},
  marker_row{"-credit", "debit"},
  marker_row{"+input", "input inputs"},
  marker_row{"-input", "output outputs"},
  marker_row{"+read", "read reads reading"},
  marker_row{"-read", "write writes writing wrote written"},
  marker_row{"+teach", "teach teaches teaching teacher"},
  marker_row{"-teach", "learn learns learning student"},
  marker_row{"+love", "love loves"},
  marker_row{"-love", "hate hates"},
  marker_row{"+cause", "cause causes reason reasons"},
  marker_row{"-cause", "effect effects consequence consequences"},
  marker_row{"+symptom", "symptom symptoms"},
  marker_row{"-symptom", "cure cures treatment treatments remedy"},
  marker_row{"+question", "question questions"},
  marker_row{"-question", "answer answers"},
  marker_row{"+row", "row rows"},
  marker_row{"-row", "column columns"},
  marker_row{"+parent", "parent parents"},
  marker_row{"-parent", "child children"},
  marker_row{"+employer", "employer employers"},
  marker_row{"-employer", "employee employees"},
  marker_row{"+client", "client clients buyer"},
  marker_row{"-client", "server servers seller"},
  marker_row{"+male", "male man men boy husband father brother son uncle nephew king"},
  marker_row{"-male", "female woman women girl wife mother sister daughter aunt niece queen"},
  marker_row{"he", "he him his"},
  marker_row{"she", "she her hers"},
};

// These stand for themselves alone.
constexpr string_view own_markers
  = "in on at for with about if now here they them their theirs "
    "never none nor neither nobody nothing nowhere non hardly barely minus unless besides apart "
    "rather versus vs any always everyone everything anyone whole entire some few several "
    "sometimes "
    "most mostly usually both whose would had been internal external while "
    "today tomorrow yesterday tonight morning afternoon evening night noon midnight day week month "
    "year hour minute second decade century monday tuesday wednesday thursday friday saturday "
    "sunday january february march april june july august september october november december "
    "spring summer autumn winter red green blue yellow black white brown orange purple pink grey "
    "percent dollar euro pound yen rupee cent meter metre kilometer kilometre mile inch foot yard "
    "gram kilogram ounce ton liter litre gallon celsius fahrenheit kelvin degree byte kilobyte "
    "megabyte gigabyte terabyte watt kilowatt volt amp hertz am pm half quarter double triple "
    "twice "
    "thrice once daily weekly monthly yearly annual annually hourly";

constexpr string_view unit_rows
  = "usd:dollar $:dollar eur:euro €:euro gbp:gbp £:gbp ¥:yen jpy:yen "
    "₹:rupee %:percent pct:percent km:kilometer kms:kilometer "
    "kilometre:kilometer kilometres:kilometer kilometers:kilometer "
    "metres:meter metre:meter meters:meter m:meter cm:cm mm:mm "
    "mi:mile ft:foot feet:foot in.:inch inches:inch lb:pound "
    "lbs:pound kg:kilogram kgs:kilogram kilo:kilogram kilos:kilogram "
    "oz:ounce l:liter litre:liter litres:liter liters:liter gb:gigabyte "
    "mb:megabyte tb:terabyte kb:kilobyte °:degree degrees:degree "
    "hr:hour hrs:hour mins:minute sec:second secs:second "
    "fall:-grow gray:grey centuries:century";

// Verbs that say something, and prepositions that do, are not among these.
constexpr string_view stop_words
  = "a an the this that these those there it its itself is are am be being do does doing done has "
    "have having i me my mine myself we us our ours you what which please kindly of to as so then "
    "and also too but very really actually exactly just hi hello hey thanks thank s t re ve ll d m "
    "ok okay want wants like know how who when where why can could may might will would shall "
    "should must was were did had not no many much some any all from by or in on at for with about";

constexpr string_view negating_syllables[]
  = {"un", "non", "in", "im", "ir", "il", "dis", "de", "mis"};

constexpr string_view not_un
  = "unless until under unto unit uni union universe universal university unique unify unicode "
    "unanimous uncle unix underneath understand unison";
constexpr string_view negated_stems[] = {
  "valid activ correct complet secur visibl direct depend finite formal stable compatib capabl "
  "sufficien appropriat accura adequa consisten effective efficien experienced flexible frequent "
  "significan tolera voluntary ability justice equal edible sane",
  "possib mutab perfect patien polite proper moral mature balance mobil partial practical",
  "regular relevan responsib rational reversib resistib",
  "legal literate logical legitimate legible",
  "able abling allow connect agree appear approv continu honest comfort trust obey prov engag "
  "respect satisf similar assembl assembl belie close courage lik loyal obedien organi qualif "
  "regard inherit infect advantage order place",
  "activat allocat serial compress crypt code compos coupl populat hydrat magnet frost mot grad "
  "form centraliz regulat valu classif militariz",
  "match spell understand lead behav use interpret trust print place inform calculat",
};

std::unordered_map<string_view, string_view> make_markers() {
  std::unordered_map<string_view, string_view> all;
  for (const auto& row : marker_rows)
    for_words(row.words, [&](string_view word) { all.emplace(word, row.marker); });
  for_words(own_markers, [&](string_view word) { all.emplace(word, word); });
  for_words(unit_rows, [&](string_view pair) {
    const auto colon = pair.find(':');
    all.emplace(pair.substr(0, colon), pair.substr(colon + 1));
  });
  return all;
}

std::unordered_set<string_view> make_set(string_view list) {
  std::unordered_set<string_view> all;
  for_words(list, [&](string_view word) { all.insert(word); });
  return all;
}

bool starts_with_any(string_view text, string_view list) {
  bool found = false;
  for_words(list, [&](string_view each) { found = found || text.starts_with(each); });
  return found;
}

constexpr std::array number_words{
  string_view{"zero"},     string_view{"one"},      string_view{"two"},
  string_view{"three"},    string_view{"four"},     string_view{"five"},
  string_view{"six"},      string_view{"seven"},    string_view{"eight"},
  string_view{"nine"},     string_view{"ten"},      string_view{"eleven"},
  string_view{"twelve"},   string_view{"thirteen"}, string_view{"fourteen"},
  string_view{"fifteen"},  string_view{"sixteen"},  string_view{"seventeen"},
  string_view{"eighteen"}, string_view{"nineteen"}};
constexpr std::array tens_words{
  string_view{"twenty"}, string_view{"thirty"},  string_view{"forty"},  string_view{"fifty"},
  string_view{"sixty"},  string_view{"seventy"}, string_view{"eighty"}, string_view{"ninety"}};
constexpr std::array ordinal_words{
  string_view{"third"},   string_view{"fourth"}, string_view{"fifth"}, string_view{"sixth"},
  string_view{"seventh"}, string_view{"eighth"}, string_view{"ninth"}, string_view{"tenth"}};

std::unordered_map<string_view, number_word> make_numbers() {
  std::unordered_map<string_view, number_word> all;
  for (std::uint64_t n = 0; n < number_words.size(); ++n)
    all.emplace(number_words[n], number_word{n, false, false});
  for (std::uint64_t n = 0; n < tens_words.size(); ++n)
    all.emplace(tens_words[n], number_word{20 + 10 * n, false, false});
  for (std::uint64_t n = 0; n < ordinal_words.size(); ++n)
    all.emplace(ordinal_words[n], number_word{3 + n, false, true});
  all.emplace("dozen", number_word{12, true, false});
  all.emplace("hundred", number_word{100, true, false});
  all.emplace("thousand", number_word{1000, true, false});
  all.emplace("million", number_word{1'000'000, true, false});
  all.emplace("billion", number_word{1'000'000'000, true, false});
  return all;
}

} // namespace

string_view marker_of(string_view word) {
  static const auto markers = make_markers();
  const auto found = markers.find(word);
  return found == markers.end() ? string_view{} : found->second;
}

bool is_stop_word(string_view word) {
  static const auto words = make_set(stop_words);
  return words.contains(word);
}

bool is_request(string_view word) {
  return word == "tell" || word == "explain" || word == "show" || word == "give"
         || word == "describe";
}

bool is_negated_by_prefix(string_view word) {
  for (std::size_t n = 0; n < std::size(negating_syllables); ++n) {
    const auto syllable = negating_syllables[n];
    if (!word.starts_with(syllable) || word.size() < syllable.size() + 3)
      continue;
    if (n == 0 && !starts_with_any(word, not_un))
      return true;
    if (n == 1)
      return !word.starts_with("none");
    if (n > 1 && starts_with_any(word.substr(syllable.size()), negated_stems[n - 2]))
      return true;
  }
  return false;
}

std::optional<number_word> number_word_of(string_view word) {
  static const auto numbers = make_numbers();
  const auto found = numbers.find(word);
  return found == numbers.end() ? std::nullopt : std::optional{found->second};
}

} // namespace skep::store
