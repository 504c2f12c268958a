// Shades on the shelf: colour, name in English, name in Chinese. The first is put on first.

export const CATEGORIES = {
  lips: ["lipstick", "lipliner"],
  eyes: ["eyeshadow"],
  liner: ["eyeliner"],
  lashes: ["lashes"],
  brows: ["brows"],
  cheeks: ["blush", "highlighter", "contour"],
  base: ["foundation"],
};

export const SHADES = {
  lipstick: [
    ["#b3123a", "Berry red", "莓红"], ["#c41e24", "Classic red", "正红"], ["#e0614a", "Coral", "珊瑚"],
    ["#d2637f", "Rose", "玫瑰"], ["#c2186b", "Fuchsia", "紫红"], ["#b9776a", "Nude", "裸色"],
    ["#9c5a4b", "Warm brown", "暖棕"], ["#8e3b46", "Rosewood", "红木"], ["#7a1f4b", "Plum", "李子"],
    ["#4d1526", "Black cherry", "黑樱桃"],
  ],
  lipliner: [
    ["#8f5444", "Chestnut", "栗色"], ["#a4344a", "Rose red", "玫红"], ["#7a2138", "Wine", "酒红"],
    ["#b9776a", "Nude", "裸色"], ["#5b2b22", "Espresso", "浓咖"],
  ],
  eyeshadow: [
    ["#9a6a4c", "Bronze brown", "古铜棕"], ["#d0a678", "Champagne", "香槟"], ["#c98a8f", "Dusty rose", "豆沙"],
    ["#7c4a63", "Mauve", "藕紫"], ["#4a4648", "Graphite", "石墨"], ["#1b7f86", "Teal", "青绿"],
    ["#2f5aa8", "Cobalt", "钴蓝"], ["#5e7d3a", "Moss", "苔绿"], ["#c06a2e", "Copper", "铜"], ["#8b2030", "Garnet", "石榴"],
  ],
  eyeliner: [
    ["#14100f", "Black", "黑"], ["#3a241a", "Brown", "棕"], ["#1f2f5c", "Navy", "藏青"], ["#1d5a55", "Emerald", "祖母绿"],
    ["#5a2146", "Plum", "李子"], ["#f1ece4", "White", "白"],
  ],
  lashes: [["#0d0a09", "Black", "黑"], ["#2f1d15", "Brown", "棕"], ["#1c2c58", "Navy", "藏青"], ["#4a1a3d", "Plum", "李子"]],
  brows: [
    ["#3a2a22", "Dark brown", "深棕"], ["#1f1917", "Black", "黑"], ["#5a4030", "Medium brown", "中棕"],
    ["#7d5f44", "Blond", "金"], ["#8a4b32", "Auburn", "赤褐"], ["#6d6661", "Grey", "灰"],
  ],
  blush: [
    ["#e2607a", "Pink", "粉"], ["#e08468", "Peach", "蜜桃"], ["#d98a80", "Soft rose", "柔粉"], ["#c2455c", "Raspberry", "覆盆子"],
    ["#b5654d", "Terracotta", "陶土"], ["#a33a55", "Berry", "莓"], ["#8a3a3f", "Brick", "砖红"],
  ],
  highlighter: [
    ["#ffe9d2", "Champagne", "香槟"], ["#fff4ee", "Pearl", "珍珠"], ["#ffd9a8", "Gold", "金"], ["#ffd0cf", "Rose gold", "玫瑰金"],
    ["#e8dcff", "Lilac", "淡紫"],
  ],
  contour: [],
  foundation: [
    ["#f3d9c4", "Porcelain", "瓷白"], ["#e8c3a5", "Ivory", "象牙"], ["#dcae88", "Beige", "米色"], ["#c99367", "Honey", "蜂蜜"],
    ["#a9714a", "Caramel", "焦糖"], ["#855334", "Chestnut", "栗色"], ["#5f3923", "Cocoa", "可可"], ["#432818", "Espresso", "浓咖"],
  ],
};
